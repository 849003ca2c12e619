# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of the line and of the host a job may take, by time of day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

EVERY_DAY = (0, 1, 2, 3, 4, 5, 6)
"""Days are numbered from Monday, as ``datetime.weekday`` does."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What holds at one time: bytes a second up and down, 0 for as fast as it goes.

    ``nice`` and ``ionice`` are None where the settings of jobs decide.
    """

    upload: int = 0
    download: int = 0
    nice: int | None = None
    ionice: str | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """A time of day with other limits; what is None is as at other times.

    ``start`` and ``end`` are minutes of the day.  A window whose end is not after its start lasts into
    the next day, and belongs to the one on which it begins.
    """

    days: tuple[int, ...]
    start: int
    end: int
    upload: int | None = None
    download: int | None = None
    nice: int | None = None
    ionice: str | None = None

    def holds(self, local: datetime) -> bool:
        """Whether ``local`` lies in it: by the clock on the wall, whatever was done to that clock."""
        minute = local.hour * 60 + local.minute
        if self.start < self.end:
            return self.start <= minute < self.end and local.weekday() in self.days
        if minute >= self.start:
            return local.weekday() in self.days
        return minute < self.end and (local - timedelta(days=1)).weekday() in self.days


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a job: ``upload`` and ``download`` in bytes a second (0: none), and other times."""

    upload: int = 0
    download: int = 0
    zone: str = "UTC"
    windows: tuple[Window, ...] = ()

    def at(self, local: datetime) -> Allowance:
        """Return what holds at ``local``, a time in ``zone``: the first window that holds decides."""
        window = next((window for window in self.windows if window.holds(local)), None)
        if window is None:
            return Allowance(self.upload, self.download)
        return Allowance(
            self.upload if window.upload is None else window.upload,
            self.download if window.download is None else window.download,
            window.nice,
            window.ionice,
        )

    @property
    def may_slow_transfers(self) -> bool:
        """Whether there is a time at which transfers are limited."""
        rates = [(self.upload, self.download), *((each.upload, each.download) for each in self.windows)]
        return any(upload or download for upload, download in rates)

    @property
    def change_priority(self) -> bool:
        """Whether there is a time with a priority of its own."""
        return any(window.nice is not None or window.ionice is not None for window in self.windows)


UNLIMITED = Limits()
