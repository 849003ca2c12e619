# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A line between two places: so many bytes a second each way for all connections, and stalls now and then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

_CREDIT = 0.05
"""Seconds that whoever wakes up late may make up for, so that the line gives its whole rate."""


@dataclass(frozen=True, slots=True)
class Stalls:
    """For ``length`` seconds nothing sets out, ``every`` so many seconds; 0 for never."""

    every: float = 0.0
    length: float = 0.0

    def after(self, moment: float) -> float:
        """Return when something can set out that would at ``moment``, seconds from the line's start."""
        if not self.every or moment < self.every:
            return moment
        return max(moment, moment // self.every * self.every + self.length)


class Line:
    """``rate`` bytes a second each way; its time begins when it is made."""

    def __init__(
        self, rate: float, stalls: Stalls | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._stalls = stalls or Stalls()
        self._clock = clock
        self._begun = clock()
        self._busy_until = {True: 0.0, False: 0.0}
        self._lock = threading.Lock()

    def wait_for(self, size: int, *, up: bool) -> float:
        """Return in how many seconds ``size`` bytes that are there now will have set out (may be past)."""
        with self._lock:
            now = self._clock() - self._begun
            begin = self._stalls.after(max(now - _CREDIT, self._busy_until[up]))
            end = self._busy_until[up] = begin + size / self._rate
        return end - now
