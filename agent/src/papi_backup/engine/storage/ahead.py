# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads that are under way while others are waited for, where a storage can do that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from papi_backup.engine.storage.protocol import Storage


class Pending(Protocol):
    """A read that was begun."""

    def result(self) -> bytes:
        """Wait for the bytes; returns and raises what ``Storage.get`` does."""


@runtime_checkable
class ReadsAhead(Protocol):
    """A storage that can have several reads under way."""

    def begin_get(self, name: str, offset: int, length: int) -> Pending:
        """Begin to get ``length`` bytes from ``offset``; never raises.  Results may be asked in any order."""


class Later:
    """Implements :class:`Pending`: reads only when the bytes are wanted."""

    def __init__(self, get: Callable[[], bytes]) -> None:
        self._get = get

    def result(self) -> bytes:
        """See :class:`Pending`."""
        return self._get()


def begin_get(storage: Storage, name: str, offset: int, length: int) -> Pending:
    """Begin a read; on a storage that cannot read ahead it is done when its result is asked for."""
    if isinstance(storage, ReadsAhead):
        return storage.begin_get(name, offset, length)
    return Later(lambda: storage.get(name, offset, length))
