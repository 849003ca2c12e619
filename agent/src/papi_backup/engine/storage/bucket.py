# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A budget of bytes a second that all processes of a job share.

What is kept is one number: the time at which everything that was let pass is paid for.  It lies in
memory that is shared with every process forked later; each puts its own bytes behind those of the others
and waits for its turn, so no process starves.  Time is CLOCK_MONOTONIC, the same for all.
"""

from __future__ import annotations

import mmap
import multiprocessing
import struct
import time
from collections.abc import Callable

CREDIT = 0.25
"""Seconds of the rate that may be made up for after a pause: bounds what passes at once."""
SLICE = 0.25
"""Seconds of the rate that are let pass at once: bounds the wait until a new rate is noticed."""
SMALLEST = 4096
"""Bytes let pass at once at the least."""
_NUMBER = struct.Struct("d")


class SharedBucket:
    """Lets ``rate()`` bytes a second pass; 0 is no limit.  Make it before the processes that share it."""

    def __init__(
        self,
        rate: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._lock = multiprocessing.get_context("fork").Lock()
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)
        _NUMBER.pack_into(self._memory, 0, clock())

    def take(self, most: int, least: int = SMALLEST) -> int:
        """Wait until some of ``most`` bytes may pass and return how many: ``least``, or what there is."""
        rate = self._rate()
        if not rate:
            return most
        size = min(most, max(least, int(rate * SLICE)))
        wait = self._reserve(size / rate)
        if wait > 0:
            self._sleep(wait)
        return size

    def take_all(self, size: int) -> None:
        """Wait until ``size`` bytes may pass."""
        while size > 0:
            size -= self.take(size)

    def _reserve(self, seconds: float) -> float:
        """Put ``seconds`` of the line behind what is reserved; return how long until they are over."""
        with self._lock:
            now = self._clock()
            paid = max(now - CREDIT, _NUMBER.unpack_from(self._memory)[0]) + seconds
            _NUMBER.pack_into(self._memory, 0, paid)
        return float(paid - now)
