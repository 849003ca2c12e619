# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast a job has been going lately, and how long it may still take."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace

from papi_backup.model.job import Progress

WINDOW = 15.0
"""Seconds over which the rate is taken: long enough not to jump, short enough to show what hangs."""


class Pace:
    """Follows one job's reports.  Noted by one thread, asked by any."""

    def __init__(self, expected: Progress, monotonic: Callable[[], float] = time.monotonic) -> None:
        """``expected`` has the totals to tell as long as the job itself knows none."""
        self._expected = expected
        self._monotonic = monotonic
        self._latest = Progress()
        self._samples: tuple[tuple[float, int], ...] = ((monotonic(), 0),)

    def note(self, progress: Progress) -> None:
        """Take in a report."""
        now = self._monotonic()
        if progress.bytes_done < self._latest.bytes_done:  # the job began anew
            self._samples = ((now, progress.bytes_done),)
        else:
            self._samples = (*self._within(now), (now, progress.bytes_done))
        self._latest = progress

    def progress(self) -> Progress:
        """Return the latest report with totals, rate (bytes/s) and remaining time (s); 0 is "not known"."""
        told, expected = self._latest, self._expected
        rate = self._rate()
        files_total = told.files_total or max(told.files_done, expected.files_total)
        bytes_total = told.bytes_total or max(told.bytes_done, expected.bytes_total)
        missing = bytes_total - told.bytes_done
        return replace(
            told,
            files_total=files_total,
            bytes_total=bytes_total,
            rate=rate,
            remaining_seconds=math.ceil(missing / rate) if rate and missing > 0 else 0,
        )

    def _rate(self) -> int:
        now = self._monotonic()
        samples = self._within(now)
        (since, before), (unused, latest) = samples[0], samples[-1]
        del unused
        return round((latest - before) / (now - since)) if now > since else 0

    def _within(self, now: float) -> tuple[tuple[float, int], ...]:
        """Return the samples of the window and the one before it, from which it begins."""
        samples = self._samples
        begin = max((index for index, one in enumerate(samples) if one[0] <= now - WINDOW), default=0)
        return samples[begin:]
