# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a schedule makes sense: its lists and its period (docs/schedules.md)."""

from __future__ import annotations

from papi_backup.model.errors import InvalidParameterError
from papi_backup.model.schedule import UNITS, BackupType, Period, Schedule

MAXIMUM_FREQUENCY = 366
_UNITS_IN_WORDS: dict[Period, str] = {
    "yearly": "months",
    "monthly": "days",
    "weekly": "days of the week, 0 = Sunday",
    "hourly": "hours",
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
        units = UNITS[period]
        outside = [value for value in schedule.time_list if value not in units]
        if outside:
            bounds = f"{units[0]}-{units[-1]} ({_UNITS_IN_WORDS[period]})"
            raise _error(kind, "time_list", f"{outside[0]} is not in {bounds}")
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
