# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs something in a forked process of its own, which may be killed.

Whatever connects to a storage runs so: its threads would not survive the forks of what comes later.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Generic, TypeVar

from kills.faults import FoundFaultError

T = TypeVar("T")
_FORK = multiprocessing.get_context("fork")
PATIENCE = 120.0
"""Seconds that anything may take."""


def apart(work: Callable[[], T]) -> T:
    """Return what ``work`` returns in a process of its own.  Raises FoundFaultError when it fails."""
    done = attempt(work)
    if done is None:
        raise FoundFaultError("a process that nobody killed died")
    return done.value


class Done(Generic[T]):
    """What was returned, None included."""

    def __init__(self, value: T) -> None:
        self.value = value


def attempt(work: Callable[[], T]) -> Done[T] | None:
    """Return the same, or None when the process was killed before it could tell."""
    receiver, sender = _FORK.Pipe(duplex=False)
    process = _FORK.Process(target=_work, args=(sender, work))
    process.start()
    sender.close()
    told: tuple[T | None, str] | None = None
    try:
        if not receiver.poll(PATIENCE):
            raise FoundFaultError(f"a job hangs for {PATIENCE:g} s")
        with suppress(EOFError):
            told = receiver.recv()
    finally:
        receiver.close()
        if process.pid:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.join()
    if told is None:
        return None
    value, failure = told
    if failure:
        raise FoundFaultError(f"a job failed that nobody killed: {failure}")
    return Done(value)  # type: ignore[arg-type]  # without a failure it is what work returned


def _work(sender: Connection, work: Callable[[], T]) -> None:
    os.setsid()
    try:
        told: tuple[T | None, str] = (work(), "")
    except BaseException:
        told = (None, traceback.format_exc())
    sender.send(told)
