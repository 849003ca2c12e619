# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Oracle for the runs of a schedule: an independent, brute-force reading of docs/schedules.md.

It was written from that document alone. It walks forward through real time, a quarter of an hour at a step
(a second at a step where the clock changes), asks the timezone database what the clock on the wall reads,
and judges each reading by itself. It never computes a next run, nor converts a local time to an instant.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
# Every modern offset is a multiple of it; older ones need not be (see _look_at_each_second).
STEP = timedelta(minutes=15)
STEP_SECONDS = 900
# Clocks change by a day at most (the date line), so readings further apart than this are not the same.
MARGIN = timedelta(days=3)
EPOCH = date(1970, 1, 1)

# "Parameters", second table: the units of each period, that is also the bounds of its time_list.
UNITS = {"yearly": range(1, 13), "monthly": range(1, 32), "weekly": range(7), "hourly": range(24)}
DAILY_TIME_LIST = range(32)


def _refuse(
    *,
    period: str,
    frequency: int,
    time_list: tuple[int, ...],
    day_run: tuple[int, ...],
    time_run: tuple[int, ...],
    minute: int,
) -> None:
    """Raise ValueError for what the API answers 3005 to; such a schedule has no runs to speak of."""
    # "Parameters": the periods, and the bounds of the values.
    if period not in UNITS and period != "daily":
        raise ValueError(f"period: {period!r}")
    if not 1 <= frequency <= 366:
        raise ValueError(f"frequency: {frequency}")
    for name, values, bounds in (
        ("time_list", time_list, UNITS.get(period, DAILY_TIME_LIST)),
        ("day_run", day_run, range(1, 32)),
        ("time_run", time_run, range(24)),
    ):
        if any(value not in bounds for value in values):
            raise ValueError(f"{name}: {values}")
    # "Parameters", second table: day_run is for yearly only, time_run for all but hourly.
    # First table: empty is the same as absent.
    if day_run and period != "yearly":
        raise ValueError(f"day_run with {period}: {day_run}")
    if time_run and period == "hourly":
        raise ValueError(f"time_run with {period}: {time_run}")
    # "The minute": modulo 60.
    if not 0 <= minute <= 59:
        raise ValueError(f"minute: {minute}")


class _Asked:
    """Which readings of the clock on the wall a schedule asks for ("1. Local times")."""

    def __init__(
        self,
        *,
        period: str,
        frequency: int,
        time_list: tuple[int, ...],
        day_run: tuple[int, ...],
        time_run: tuple[int, ...],
        minute: int,
    ) -> None:
        self.period = period
        self.frequency = frequency
        self.minute = minute
        # "Kept units": ascending; repeated values do not matter; all units if the list is empty;
        # the 1st, the (1+N)th, the (1+2N)th, ... "all periods but daily".
        self.kept: set[int] = set()
        if period != "daily":
            eligible = sorted(set(time_list)) if time_list else list(UNITS[period])
            for index, unit in enumerate(eligible):
                if index % frequency == 0:
                    self.kept.add(unit)
        # "Parameters", first table: absent or empty means the 1st, and hour 0.
        self.month_days = set(day_run) if day_run else {1}
        # "1. Local times", the table's column "hours".
        if period == "hourly":
            self.hours = self.kept
        else:
            self.hours = set(time_run) if time_run else {0}

    def day(self, day: date) -> bool:
        """ "1. Local times", the table's column "days".

        Only dates of the calendar come here, so that a day that the month lacks is skipped by itself.
        """
        if self.period == "yearly":
            return day.month in self.kept and day.day in self.month_days
        if self.period == "monthly":
            return day.day in self.kept
        if self.period == "weekly":
            # 0 = Sunday ... 6 = Saturday; isoweekday() has Monday = 1 ... Sunday = 7.
            return day.isoweekday() % 7 in self.kept
        if self.period == "daily":
            # "The day number": days from 1970-01-01, which has number 0.
            return (day - EPOCH).days % self.frequency == 0
        return True  # hourly: every date

    def reading(self, reading: datetime) -> bool:
        """Tell whether this reading (naive, to the second) is day, hour and minute of the schedule."""
        return (
            reading.second == 0
            and reading.minute == self.minute
            and reading.hour in self.hours
            and self.day(reading.date())
        )

    def within(self, begin: datetime, end: datetime) -> list[datetime]:
        """All readings of the schedule from `begin` to before `end` (naive), looking at each hour."""
        found = []
        candidate = begin.replace(minute=self.minute, second=0)
        while candidate < end:
            if candidate >= begin and self.reading(candidate):
                found.append(candidate)
            candidate += HOUR
        return found


class _Walk:
    """A walk through real time that notes at which instant each asked reading was first seen."""

    def __init__(self, asked: _Asked, zone: str) -> None:
        self.asked = asked
        self.zone = ZoneInfo(zone)
        # Asked reading -> the first instant at which the clock shows it.
        self.seen: dict[datetime, datetime] = {}
        # Asked reading that the clock jumped over -> the first instant after the jump.
        self.jumped: dict[datetime, datetime] = {}

    def wall(self, instant: datetime) -> datetime:
        """What the clock on the wall reads at an instant (naive)."""
        return instant.astimezone(self.zone).replace(tzinfo=None, fold=0)

    def go(self, begin: datetime, end: datetime) -> None:
        """Walk from `begin` until `end` is passed."""
        instant, reading = begin, self.wall(begin)
        while instant <= end:
            next_instant = instant + STEP
            next_reading = self.wall(next_instant)
            if next_reading - reading == STEP:
                # The clock went on evenly.
                for asked in self.asked.within(reading, next_reading):
                    self.see(asked, instant + (asked - reading))
            else:
                self._look_at_each_second(instant)
            instant, reading = next_instant, next_reading

    def see(self, reading: datetime, instant: datetime) -> None:
        """ "3. Local times become instants": of a reading that comes twice, the first instant counts."""
        self.seen.setdefault(reading, instant)

    def _look_at_each_second(self, instant: datetime) -> None:
        """The clock is changed within this step, or at its end; look at each second of it."""
        reading = self.wall(instant)
        for index in range(STEP_SECONDS):
            if self.asked.reading(reading):
                self.see(reading, instant + index * SECOND)
            next_instant = instant + (index + 1) * SECOND
            next_reading = self.wall(next_instant)
            # "3. Local times become instants": what the clock jumps over is at the first instant after it.
            # If the clock goes back or on evenly, there is nothing between the two.
            for asked in self.asked.within(reading + SECOND, next_reading):
                self.jumped.setdefault(asked, next_instant)
            reading = next_reading

    def instants(self) -> set[datetime]:
        """ "In other words: the runs are the *set* of the instants that the asked local times become"."""
        instants = set(self.seen.values())
        for reading, instant in self.jumped.items():
            # What a jump leaves out but another time shows (two changes of the clock within days) does exist.
            if reading not in self.seen:
                instants.add(instant)
        return instants


def oracle_runs(
    *,
    period: str,
    frequency: int,
    time_list: tuple[int, ...],
    day_run: tuple[int, ...],
    time_run: tuple[int, ...],
    zone: str,
    minute: int,
    start: datetime,
    end: datetime,
) -> list[datetime]:
    """All runs later than `start` and not later than `end` (both aware, UTC), ascending, aware, in UTC."""
    # "Parameters": deactivated never runs, and nothing else has an effect then.
    if period == "deactivated":
        return []
    _refuse(
        period=period,
        frequency=frequency,
        time_list=time_list,
        day_run=day_run,
        time_run=time_run,
        minute=minute,
    )
    asked = _Asked(
        period=period,
        frequency=frequency,
        time_list=time_list,
        day_run=day_run,
        time_run=time_run,
        minute=minute,
    )
    walk = _Walk(asked, zone)
    begin = start.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    walk.go(begin - MARGIN, end.astimezone(UTC) + MARGIN)
    return [instant for instant in sorted(walk.instants()) if start < instant <= end]
