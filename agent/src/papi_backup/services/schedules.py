# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a schedule makes sense: its lists and its period (docs/schedules.md)."""

from __future__ import annotations

from papi_backup.model.errors import InvalidParameterError
from papi_backup.model.schedule import BackupType, Period, Schedule

MAXIMUM_FREQUENCY = 366
UNITS: dict[Period, tuple[str, int, int]] = {
    "yearly": ("months", 1, 12),
    "monthly": ("days", 1, 31),
    "weekly": ("days of the week, 0 = Sunday", 0, 6),
    "hourly": ("hours", 0, 23),
}
"""What ``time_list`` holds.  For the other periods it "does not matter"."""

_PERIODS_WITH_HOURS = ("yearly", "monthly", "weekly", "daily")


def checked_schedule(kind: BackupType, schedule: Schedule) -> Schedule:
    """Return ``schedule`` with sorted lists, each value once.

    A list the period has no use for is :class:`InvalidParameterError`: a run somebody expects would not
    happen.  Where the spec says that a value does not matter, it is taken as it is and kept.
    """
    period = schedule.period
    if period in UNITS:
        words, low, high = UNITS[period]
        outside = [value for value in schedule.time_list if not low <= value <= high]
        if outside:
            raise _error(kind, "time_list", f"{outside[0]} is not in {low}-{high} ({words})")
    if period != "deactivated":
        if schedule.day_run and period != "yearly":
            raise _error(kind, "day_run", "it is valid only if the period is yearly")
        if schedule.time_run and period not in _PERIODS_WITH_HOURS:
            raise _error(
                kind, "time_run", f"it is valid only if the period is one of {', '.join(_PERIODS_WITH_HOURS)}"
            )
    return Schedule(
        period=period,
        frequency=schedule.frequency,
        time_list=tuple(sorted(set(schedule.time_list))),
        day_run=tuple(sorted(set(schedule.day_run))),
        time_run=tuple(sorted(set(schedule.time_run))),
    )


def _error(kind: BackupType, field: str, reason: str) -> InvalidParameterError:
    parameter = f"schedule_{kind}_{field}"
    return InvalidParameterError(f"Invalid value of '{parameter}': {reason}.", parameter)
