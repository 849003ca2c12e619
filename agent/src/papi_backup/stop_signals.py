# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGTERM and SIGINT as something the main thread can wait for."""

from __future__ import annotations

import os
import selectors
import signal
from contextlib import suppress
from types import TracebackType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """Counts stop signals while its block runs; to be used in the main thread.

    The signal's number comes through a pipe, written by the interpreter's own handler at once and from
    whatever thread the kernel chose.  A lock taken in a Python handler could be one that the
    interrupted code holds.
    """

    def __init__(self) -> None:
        self.count = 0
        self._read_end, self._write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
        self._wakeup = -1

    def __enter__(self) -> StopSignals:
        self._wakeup = signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        for number in STOP_SIGNALS:
            signal.signal(number, _only_wake)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._read_end)
        os.close(self._write_end)

    def wait(self, seconds: float) -> bool:
        """Wait for the next signal; returns whether one came within ``seconds``."""
        with selectors.PollSelector() as selector:
            selector.register(self._read_end, selectors.EVENT_READ)
            selector.select(max(0.0, seconds))
        before = self.count
        with suppress(BlockingIOError):
            self.count += sum(number in STOP_SIGNALS for number in os.read(self._read_end, 4096))
        return self.count > before


def _only_wake(*unused: object) -> None:
    """Keep the signal from ending the process; the pipe has told it already."""
