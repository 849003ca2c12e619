# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGTERM and SIGINT as something the main thread can wait for."""

from __future__ import annotations

import os
import selectors
import signal
from contextlib import suppress
from types import FrameType, TracebackType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """Counts stop signals while its block runs.

    The handler only writes to a descriptor: a lock of threading taken in a signal handler could be
    one that the interrupted code holds.
    """

    def __init__(self) -> None:
        self.count = 0
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._before = {number: signal.getsignal(number) for number in STOP_SIGNALS}

    def __enter__(self) -> StopSignals:
        for number in STOP_SIGNALS:
            signal.signal(number, self._ring)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._bell)

    def wait(self, seconds: float) -> bool:
        """Wait for the next signal; returns whether one came within ``seconds``."""
        with selectors.PollSelector() as selector:
            selector.register(self._bell, selectors.EVENT_READ)
            selector.select(max(0.0, seconds))
        with suppress(BlockingIOError):
            self.count += os.eventfd_read(self._bell)
            return True
        return False

    def _ring(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        os.eventfd_write(self._bell, 1)
