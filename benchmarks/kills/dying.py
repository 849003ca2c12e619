# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A storage that kills the process group of whoever calls it, before or after one of the calls."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from kills.methods import METHODS
from papi_backup.engine.storage.connecting import Connectable
from papi_backup.engine.storage.faults import FaultyStorage, Method
from papi_backup.engine.storage.opener import patient
from papi_backup.engine.storage.protocol import ObjectInfo, Storage
from papi_backup.model.storage import StorageAccess

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Death:
    """Dies at the ``number``-th call of a method, counted over the job and all its helpers."""

    method: str
    number: int
    after: bool

    def __str__(self) -> str:
        return f"{'after' if self.after else 'before'} {self.method} {self.number}"


class Calls:
    """How often each method was called, by all processes that were forked with this."""

    def __init__(self) -> None:
        self._counts = multiprocessing.get_context("fork").Array(ctypes.c_uint64, len(METHODS))

    def count(self, method: str) -> int:
        """Count one call; return the how many-th it is."""
        place = METHODS.index(method)
        with self._counts.get_lock():
            self._counts[place] += 1
            return int(self._counts[place])

    @property
    def made(self) -> dict[str, int]:
        """The methods that were called, and how often.  Only to be asked when nobody calls any more."""
        return {
            name: int(count) for name, count in zip(METHODS, self._counts.get_obj(), strict=True) if count
        }


class DyingStorage(FaultyStorage):
    """Counts the calls of a real storage, and dies in one of them."""

    def __init__(self, inner: Connectable, calls: Calls, death: Death | None) -> None:
        super().__init__(inner)
        self._shared = calls
        self._death = death

    def carry_out(self, method: Method, what: str, call: Callable[[], T]) -> T:
        """Do the call, unless it is the one to die before."""
        del what
        is_last = self._is_last(method)
        if is_last and self._death is not None and not self._death.after:
            die()
        result = call()
        if is_last:
            die()
        return result

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See ``protocol.Storage.list``; after the call is after its last entry."""
        is_last = self._is_last("list")
        if is_last and self._death is not None and not self._death.after:
            die()
        yield from super().list(prefix)
        if is_last:
            die()

    def _is_last(self, method: str) -> bool:
        number = self._shared.count(method)
        return self._death is not None and (method, number) == (self._death.method, self._death.number)


def die() -> NoReturn:
    """End this process and its group as a power cut would."""
    os.killpg(os.getpgrp(), signal.SIGKILL)
    while True:
        time.sleep(1)


@dataclass(frozen=True, slots=True)
class DyingOpener:
    """Opens dying storages; crosses a fork."""

    access: StorageAccess
    calls: Calls
    death: Death | None = None

    def __call__(self) -> Storage:
        """See ``protocol.StorageOpener``."""
        storage = DyingStorage(patient(self.access), self.calls, self.death)
        storage.open()
        return storage
