# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGTERM as an orderly end: what was begun is taken back, on this host and on the storage."""

from __future__ import annotations

import _thread
import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import NoReturn

_SOON = 0.02
"""Seconds until SIGTERM comes again where the interpreter dropped what it raised."""


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
        with _nothing_dropped() if before is signal.SIG_DFL else contextlib.nullcontext():
            yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _nothing_dropped() -> Iterator[None]:
    """Have SIGTERM come again when :func:`unwind` raised where nothing can be raised.

    The interpreter runs handlers between any two instructions, those of finalizers and of what is
    called at a fork too.  Of these it only reports what they raise, and goes on.
    """
    before = sys.unraisablehook
    ended = threading.Event()

    def report(unraisable: sys.UnraisableHookArgs) -> None:
        if unraisable.exc_type is not SystemExit or signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:
            before(unraisable)
            return
        # Not by threading: where this is called its locks may be held.
        _thread.start_new_thread(_terminate_soon, (ended,))
        while True:
            try:
                signal.signal(signal.SIGTERM, unwind)
                return
            except SystemExit:  # another one, which would be dropped as well
                continue

    sys.unraisablehook = report
    try:
        yield
    finally:
        ended.set()
        sys.unraisablehook = before


def _terminate_soon(ended: threading.Event) -> None:
    if not ended.wait(_SOON):
        os.kill(os.getpid(), signal.SIGTERM)


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
