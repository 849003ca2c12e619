# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGTERM as an orderly end: what was begun is taken back, on this host and on the storage."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Iterator
from typing import NoReturn


@contextlib.contextmanager
def orderly_termination() -> Iterator[None]:
    """Make SIGTERM unwind this process and its helpers, so that they clean up, where nobody handles it.

    Processes forked inside unwind as well: they inherit the handler.  Whoever ends a job signals its
    first process only: helpers that died before it would look like the failure of the job.
    """
    try:
        before = signal.signal(signal.SIGTERM, unwind)
    except ValueError:
        yield  # not the main thread: whoever runs us there ends us in another way
        return
    if before is not signal.SIG_DFL:
        signal.signal(signal.SIGTERM, before)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def refuse_termination() -> None:
    """Ignore SIGTERM from here to the end of :func:`orderly_termination`: what follows cannot be taken back.

    Where nobody unwinds, or somebody else handles the signal, nothing changes.
    """
    if signal.getsignal(signal.SIGTERM) is unwind:
        with contextlib.suppress(ValueError):  # not the main thread: no signal unwinds us
            signal.signal(signal.SIGTERM, signal.SIG_IGN)


@contextlib.contextmanager
def termination_deferred() -> Iterator[None]:
    """Let SIGTERM take effect after what is done inside; for what would be left half taken back.

    Not a mask: the kernel would hand the signal to a thread of the storage's library instead.
    """
    arrived: list[int] = []

    def note(number: int, frame: object) -> None:
        del frame
        arrived.append(number)

    try:
        before = signal.signal(signal.SIGTERM, note)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        if arrived:
            signal.raise_signal(signal.SIGTERM)


def unwind(number: int, frame: object) -> NoReturn:
    """End this process by ``SystemExit``, once, and have its helpers do so at the same time."""
    del frame
    signal.signal(number, signal.SIG_IGN)
    for helper in multiprocessing.active_children():
        helper.terminate()
    raise SystemExit(128 + number)
