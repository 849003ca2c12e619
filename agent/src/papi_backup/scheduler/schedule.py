# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a schedule runs: pure computing, without a clock (docs/schedules.md).

Runs are enumerated in naive local time and then placed in the zone.  A local time that does not
exist runs at the next one that does; a local time that comes twice runs the first time.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta, tzinfo

from croniter import CroniterBadDateError, croniter

from papi_backup.model.schedule import UNITS, Schedule

_FIRST_DAY = datetime(1970, 1, 1)
"""Where ``daily`` counts from, so that the count does not depend on when the agent was installed."""


_LAST_YEAR = 9998
"""Runs are told up to its end: a timezone needs room beyond in what datetime holds."""


def minute_of(host_name: str) -> int:
    """Return the minute of the hour at which this host runs its backups.

    Stable, and spread evenly over a fleet: 1,000 hosts shall not strike one storage at once.
    """
    digest = hashlib.blake2b(host_name.encode("utf-8", "surrogateescape"), digest_size=8)
    return int.from_bytes(digest.digest(), "big") % 60


def next_runs(
    schedule: Schedule, after: datetime, zone: tzinfo, count: int, minute: int = 0
) -> list[datetime]:
    """Return up to ``count`` runs later than ``after``, ascending, aware, in ``zone``.

    ``after`` is aware, or naive local time of ``zone``.  Fewer than ``count`` come back only when
    there are none (deactivated, or a date no year has).  Raises ValueError for numbers out of bounds.
    """
    start = after if after.tzinfo else after.replace(tzinfo=zone)
    return list(itertools.islice(runs(schedule, start, zone, minute), count))


def first_missed(
    schedule: Schedule, since: datetime, now: datetime, zone: tzinfo, minute: int = 0
) -> datetime | None:
    """Return the earliest run in (``since``, ``now``], both aware; None when nothing is due."""
    run = next(runs(schedule, since, zone, minute), None)
    return run if run is not None and run.astimezone(UTC) <= now.astimezone(UTC) else None


def place(local: datetime, zone: tzinfo) -> datetime:
    """Return the instant of a naive local time: the first of two, the next that exists if it does not."""
    before, after = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (1, 0))
    if before >= after:
        return after.astimezone(zone)
    # The clock jumps over this time (PEP 495: then fold=0 maps past the jump, fold=1 before it).
    offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0).astimezone(zone)


def runs(schedule: Schedule, after: datetime, zone: tzinfo, minute: int = 0) -> Iterator[datetime]:
    """Yield the runs later than ``after``, which is aware; otherwise as :func:`next_runs`."""
    # In UTC: datetimes of one zone compare by their wall clocks, which go back once a year.
    last = after.astimezone(UTC)
    # Whole seconds: croniter counts in floats.
    for local in _local_runs(schedule, last.astimezone(zone).replace(tzinfo=None, microsecond=0), minute):
        run = place(local, zone).astimezone(UTC)
        # Two local times around a jump of the clock can be one instant, which runs once.
        if run > last:
            last = run
            yield run.astimezone(zone)


def _local_runs(schedule: Schedule, after: datetime, minute: int) -> Iterator[datetime]:
    """Yield naive local times later than ``after``."""
    expression = cron_expression(schedule, minute)
    if not expression:
        return
    every = schedule.frequency if schedule.period == "daily" else 1
    times = croniter(expression, after)
    while True:
        try:
            local: datetime = times.get_next(datetime)
            wait = -(local - _FIRST_DAY).days % every
            if wait:
                midnight = datetime.combine(local + timedelta(days=wait), time())
                times = croniter(expression, midnight - timedelta(seconds=1))
                local = times.get_next(datetime)
        except (CroniterBadDateError, OverflowError):  # a day that none of the months has; year 10000
            return
        if local.year > _LAST_YEAR:
            return
        yield local


def cron_expression(schedule: Schedule, minute: int) -> str:
    """Return the five cron fields of a schedule, "" when it never runs.

    The frequency of ``daily`` is not in them: cron cannot count days across months.
    Raises ValueError for numbers out of bounds.
    """
    if schedule.frequency < 1:
        raise ValueError(f"a frequency of {schedule.frequency}")
    hours = _field(schedule.time_run, range(24)) or "0"
    units = _units(schedule)
    days = _field(schedule.day_run, range(1, 32)) or "1"
    return {
        "deactivated": "",
        "yearly": f"{minute} {hours} {days} {units} *",
        "monthly": f"{minute} {hours} {units} * *",
        "weekly": f"{minute} {hours} * * {units}",
        "daily": f"{minute} {hours} * * *",
        "hourly": f"{minute} {units} * * *",
    }[schedule.period]


def _units(schedule: Schedule) -> str:
    """Every Nth of the units that ``time_list`` allows (all when it is empty), counted from the first."""
    bounds = UNITS.get(schedule.period)
    if bounds is None:
        return ""
    eligible = _checked(schedule.time_list, bounds) or list(bounds)
    return ",".join(map(str, eligible[:: schedule.frequency]))


def _field(numbers: Sequence[int], bounds: range) -> str:
    return ",".join(map(str, _checked(numbers, bounds)))


def _checked(numbers: Sequence[int], bounds: range) -> list[int]:
    outside = [number for number in numbers if number not in bounds]
    if outside:
        raise ValueError(f"{outside} outside {bounds[0]} to {bounds[-1]}")
    return sorted(set(numbers))
