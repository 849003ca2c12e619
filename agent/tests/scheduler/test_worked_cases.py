# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Schedules worked out by hand with a calendar, not with the program; each id says how.

Facts used: 2026-01-01 is a Thursday and day number 20454; 1 February and 1 March 2026 are Sundays, and so is
29 March; 2028 is a leap year.  The clocks in 2026: Rome 29 March 02->03; New York 8 March 02->03 and
1 November 02->01; Sydney 5 April 03->02 and 4 October 02->03; Santiago 4 April 24->23 and 6 September
00->01; Lord Howe 5 April 02:00->01:30 and 4 October 02:00->02:30; Kolkata never.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from schedule_oracle import oracle_runs

from papi_backup.model.schedule import Period, Schedule
from papi_backup.scheduler.schedule import next_runs

Case = tuple[str, Schedule, str, str, list[str]]
"""How it was worked out, the schedule, ``zone:minute``, later than what, and the runs on a wall clock."""


def plan(period: Period, frequency: int = 1, units: str = "", days: str = "", hours: str = "") -> Schedule:
    time_list, day_run, time_run = (tuple(map(int, text.split())) for text in (units, days, hours))
    return Schedule(period, frequency, time_list, day_run, time_run)


YEARLY: list[Case] = [
    (
        "every 4th of 12 months is 1, 5, 9; then January again",
        plan("yearly", 4),
        "UTC:0",
        "2026-05-01 00:00+00:00",
        ["2026-09-01 00:00+00:00", "2027-01-01 00:00+00:00", "2027-05-01 00:00+00:00"],
    ),
    (
        "every 13th of 12 months leaves the first",
        plan("yearly", 13),
        "UTC:0",
        "2026-01-01 00:00+00:00",
        ["2027-01-01 00:00+00:00", "2028-01-01 00:00+00:00"],
    ),
    (
        "every 3rd of 2, 4, 8, 10, 12 is 2 and 10, whatever the list's order",
        plan("yearly", 3, units="12 10 8 4 2"),
        "UTC:0",
        "2026-02-01 00:00+00:00",
        ["2026-10-01 00:00+00:00", "2027-02-01 00:00+00:00"],
    ),
    (
        "3 given twice counts once, so every 2nd of 3, 5, 7 is 3 and 7",
        plan("yearly", 2, units="3 3 5 7"),
        "UTC:0",
        "2026-01-01 00:00+00:00",
        ["2026-03-01 00:00+00:00", "2026-07-01 00:00+00:00"],
    ),
    (
        "April and June have no 31st, and no other day takes its place",
        plan("yearly", days="31", hours="9"),
        "UTC:0",
        "2026-03-31 12:00+00:00",
        ["2026-05-31 09:00+00:00", "2026-07-31 09:00+00:00", "2026-08-31 09:00+00:00"],
    ),
    (
        "every 2nd of 2..8 is 2, 4, 6, 8: three have no 31st, and none of 3, 5, 7 takes their place",
        plan("yearly", 2, units="2 3 4 5 6 7 8", days="31"),
        "UTC:0",
        "2026-01-01 00:00+00:00",
        ["2026-08-31 00:00+00:00", "2027-08-31 00:00+00:00"],
    ),
    (
        "28 and 29 February: the 29th in 2028 only",
        plan("yearly", units="2", days="28 29"),
        "UTC:0",
        "2027-01-01 00:00+00:00",
        ["2027-02-28 00:00+00:00", "2028-02-28 00:00+00:00", "2028-02-29 00:00+00:00"],
    ),
    (
        "2100 is no leap year, so after 2096 comes 2104",
        plan("yearly", units="2", days="29"),
        "UTC:0",
        "2096-03-01 00:00+00:00",
        ["2104-02-29 00:00+00:00"],
    ),
    (
        "New Year in Rome is at 23:00 of the old year in UTC; July has summer time",
        plan("yearly", 6),
        "Europe/Rome:0",
        "2025-12-31 22:59+00:00",
        ["2026-01-01 00:00+01:00", "2026-07-01 00:00+02:00"],
    ),
]

MONTHLY: list[Case] = [
    (
        "every 15th of 31 days is 1, 16, 31; February has no 31st",
        plan("monthly", 15),
        "UTC:0",
        "2026-01-17 00:00+00:00",
        [
            "2026-01-31 00:00+00:00",
            "2026-02-01 00:00+00:00",
            "2026-02-16 00:00+00:00",
            "2026-03-01 00:00+00:00",
        ],
    ),
    (
        "every 2nd day is the odd ones, so 31 May and 1 June follow each other",
        plan("monthly", 2),
        "UTC:0",
        "2026-05-29 00:00+00:00",
        ["2026-05-31 00:00+00:00", "2026-06-01 00:00+00:00", "2026-06-03 00:00+00:00"],
    ),
    (
        "every 2nd of 10, 20, 30 is 10 and 30; February has no 30th",
        plan("monthly", 2, units="10 20 30"),
        "UTC:0",
        "2026-01-30 00:00+00:00",
        ["2026-02-10 00:00+00:00", "2026-03-10 00:00+00:00", "2026-03-30 00:00+00:00"],
    ),
    (
        "every 40th of 31 days leaves the 1st",
        plan("monthly", 40, hours="5"),
        "UTC:0",
        "2026-11-02 00:00+00:00",
        ["2026-12-01 05:00+00:00", "2027-01-01 05:00+00:00"],
    ),
    (
        "two hours of one day; asked at the first of them, it is past",
        plan("monthly", units="15", hours="18 6"),
        "UTC:20",
        "2026-06-15 06:20+00:00",
        ["2026-06-15 18:20+00:00", "2026-07-15 06:20+00:00"],
    ),
]

WEEKLY: list[Case] = [
    (
        "every 2nd weekday is 0, 2, 4, 6; from Saturday 7 February the next is Sunday",
        plan("weekly", 2),
        "UTC:0",
        "2026-02-07 00:00+00:00",
        ["2026-02-08 00:00+00:00", "2026-02-10 00:00+00:00", "2026-02-12 00:00+00:00"],
    ),
    (
        "every 3rd of 1, 3, 5, 6 is Monday and Saturday",
        plan("weekly", 3, units="1 3 5 6"),
        "UTC:0",
        "2026-02-01 00:00+00:00",
        ["2026-02-02 00:00+00:00", "2026-02-07 00:00+00:00", "2026-02-09 00:00+00:00"],
    ),
    (
        "364 days after Thursday 1 January is Thursday 31 December; weeks go on over New Year",
        plan("weekly", units="4"),
        "UTC:0",
        "2026-12-25 00:00+00:00",
        ["2026-12-31 00:00+00:00", "2027-01-07 00:00+00:00"],
    ),
    (
        "every 8th of 7 weekdays leaves Sunday",
        plan("weekly", 8),
        "UTC:0",
        "2026-03-01 00:00+00:00",
        ["2026-03-08 00:00+00:00", "2026-03-15 00:00+00:00"],
    ),
    (
        "Sunday 29 March has no 02:30 in Rome, so that week's run is at 03:00",
        plan("weekly", units="0", hours="2"),
        "Europe/Rome:30",
        "2026-03-22 03:00+01:00",
        ["2026-03-29 03:00+02:00", "2026-04-05 02:30+02:00"],
    ),
]

DAILY: list[Case] = [
    (
        "20454 is 3 x 6818, so 1, 4, 7 January; the 1st is past",
        plan("daily", 3),
        "UTC:0",
        "2026-01-01 00:00+00:00",
        ["2026-01-04 00:00+00:00", "2026-01-07 00:00+00:00"],
    ),
    (
        "20455 is 5 x 4091, so 2, 7, 12 January",
        plan("daily", 5),
        "UTC:0",
        "2026-01-01 00:00+00:00",
        ["2026-01-02 00:00+00:00", "2026-01-07 00:00+00:00", "2026-01-12 00:00+00:00"],
    ),
    (
        "366 x 56 is 20496, 42 days after 1 January 2026; one day later in the next year",
        plan("daily", 366),
        "UTC:0",
        "2026-01-01 00:00+00:00",
        ["2026-02-12 00:00+00:00", "2027-02-13 00:00+00:00"],
    ),
    (
        "days are counted on the local calendar: 20454 is even, and begins in Sydney at 13:00 UTC",
        plan("daily", 2),
        "Australia/Sydney:0",
        "2025-12-31 12:00+00:00",
        ["2026-01-01 00:00+11:00", "2026-01-03 00:00+11:00"],
    ),
    (
        "midnight in Kolkata is at 18:30 UTC",
        plan("daily"),
        "Asia/Kolkata:0",
        "2026-01-01 18:29+00:00",
        ["2026-01-02 00:00+05:30", "2026-01-03 00:00+05:30"],
    ),
    (
        "time_list does not matter",
        plan("daily", units="5", hours="1"),
        "UTC:0",
        "2026-01-01 01:00+00:00",
        ["2026-01-02 01:00+00:00", "2026-01-03 01:00+00:00"],
    ),
    (
        "New York has no 02:30 on 8 March",
        plan("daily", hours="2"),
        "America/New_York:30",
        "2026-03-07 03:00-05:00",
        ["2026-03-08 03:00-04:00", "2026-03-09 02:30-04:00"],
    ),
    (
        "New York has 01:15 twice on 1 November, and it runs in summer time",
        plan("daily", hours="1"),
        "America/New_York:15",
        "2026-10-31 12:00-04:00",
        ["2026-11-01 01:15-04:00", "2026-11-02 01:15-05:00"],
    ),
    (
        "asked at 06:00 UTC, when New York has 01:00 again, the day's 01:15 is past since 05:15 UTC",
        plan("daily", hours="1"),
        "America/New_York:15",
        "2026-11-01 06:00+00:00",
        ["2026-11-02 01:15-05:00"],
    ),
    (
        "02:00 and 03:00 are one instant in Rome on 29 March, which runs once",
        plan("daily", hours="2 3"),
        "Europe/Rome:0",
        "2026-03-28 12:00+01:00",
        ["2026-03-29 03:00+02:00", "2026-03-30 02:00+02:00", "2026-03-30 03:00+02:00"],
    ),
    (
        "Santiago has no 00:30 on 6 September: at 01:00, and the run for 01:30 stays",
        plan("daily", hours="0 1"),
        "America/Santiago:30",
        "2026-09-05 12:00-04:00",
        ["2026-09-06 01:00-03:00", "2026-09-06 01:30-03:00", "2026-09-07 00:30-03:00"],
    ),
    (
        "Santiago has 23:30 twice on 4 April; 25 hours to the next",
        plan("daily", hours="23"),
        "America/Santiago:30",
        "2026-04-04 12:00-03:00",
        ["2026-04-04 23:30-03:00", "2026-04-05 23:30-04:00"],
    ),
    (
        "Sydney has 02:45 twice on 5 April",
        plan("daily", hours="2"),
        "Australia/Sydney:45",
        "2026-04-04 12:00+11:00",
        ["2026-04-05 02:45+11:00", "2026-04-06 02:45+10:00"],
    ),
    (
        "Sydney has no 02:10 on 4 October",
        plan("daily", hours="2"),
        "Australia/Sydney:10",
        "2026-10-03 12:00+10:00",
        ["2026-10-04 03:00+11:00", "2026-10-05 02:10+11:00"],
    ),
    (
        "Lord Howe has no 02:00 on 4 October, and the next time it has is 02:30",
        plan("daily", hours="2"),
        "Australia/Lord_Howe:0",
        "2026-10-03 12:00+10:30",
        ["2026-10-04 02:30+11:00", "2026-10-05 02:00+11:00"],
    ),
    (
        "Lord Howe has 01:40 twice on 5 April, half an hour apart",
        plan("daily", hours="1"),
        "Australia/Lord_Howe:40",
        "2026-04-04 12:00+11:00",
        ["2026-04-05 01:40+11:00", "2026-04-06 01:40+10:30"],
    ),
]

HOURLY: list[Case] = [
    (
        "01:00 comes twice in New York on 1 November: two hours from its first to 02:00",
        plan("hourly"),
        "America/New_York:0",
        "2026-11-01 00:30-04:00",
        ["2026-11-01 01:00-04:00", "2026-11-01 02:00-05:00", "2026-11-01 03:00-05:00"],
    ),
    (
        "every 5th of 24 hours is 0, 5, 10, 15, 20; from 20 to 0 it is four hours",
        plan("hourly", 5),
        "UTC:0",
        "2026-01-01 15:00+00:00",
        ["2026-01-01 20:00+00:00", "2026-01-02 00:00+00:00", "2026-01-02 05:00+00:00"],
    ),
    (
        "every 2nd of 1, 3, 22 is 1 and 22",
        plan("hourly", 2, units="1 3 22"),
        "UTC:10",
        "2026-01-01 01:10+00:00",
        ["2026-01-01 22:10+00:00", "2026-01-02 01:10+00:00"],
    ),
    (
        "every 24th of 24 hours leaves midnight",
        plan("hourly", 24),
        "UTC:59",
        "2026-02-28 00:59+00:00",
        ["2026-03-01 00:59+00:00"],
    ),
    (
        "09:00 in Kolkata is 03:30 UTC; asked at that instant, it is past",
        plan("hourly", units="9"),
        "Asia/Kolkata:0",
        "2026-01-01 03:30+00:00",
        ["2026-01-02 09:00+05:30"],
    ),
    (
        "every 2nd hour in Rome on 29 March: the run for 02:00 is at 03:00, an hour before the one for 04:00",
        plan("hourly", 2),
        "Europe/Rome:0",
        "2026-03-29 00:00+01:00",
        ["2026-03-29 03:00+02:00", "2026-03-29 04:00+02:00", "2026-03-29 06:00+02:00"],
    ),
]

CASES = [*YEARLY, *MONTHLY, *WEEKLY, *DAILY, *HOURLY]


@pytest.mark.parametrize(
    ("schedule", "place", "after", "runs"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_worked_out_by_hand(schedule: Schedule, place: str, after: str, runs: list[str]) -> None:
    zone, minute = place.split(":")
    found = next_runs(schedule, datetime.fromisoformat(after), ZoneInfo(zone), len(runs), int(minute))
    assert [run.isoformat(" ", "minutes") for run in found] == runs


def test_there_are_enough_of_them() -> None:
    assert len({case[0] for case in CASES}) == len(CASES) > 30


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_the_oracle_says_the_same(case: Case) -> None:
    unused, schedule, place, after, told = case
    del unused
    zone, minute = place.split(":")
    expected = [datetime.fromisoformat(run) for run in told]
    found = oracle_runs(
        period=schedule.period,
        frequency=schedule.frequency,
        time_list=schedule.time_list,
        day_run=schedule.day_run,
        time_run=schedule.time_run,
        zone=zone,
        minute=int(minute),
        start=datetime.fromisoformat(after),
        end=expected[-1],
    )
    assert found == expected


def test_asked_in_the_zone_itself_the_hour_that_comes_twice_is_told_apart() -> None:
    rome = ZoneInfo("Europe/Rome")
    first, second = (datetime(2026, 10, 25, 2, 10, tzinfo=rome, fold=fold) for fold in (0, 1))
    runs = [next_runs(plan("hourly"), after, rome, 1, 30)[0] for after in (first, second)]
    assert [str(run) for run in runs] == ["2026-10-25 02:30:00+02:00", "2026-10-25 03:30:00+01:00"]


def test_runs_are_told_up_to_the_end_of_the_year_9998() -> None:
    for zone in ("Pacific/Kiritimati", "America/New_York"):
        runs = next_runs(plan("daily"), datetime(9998, 12, 29, 12), ZoneInfo(zone), 5)
        assert [f"{run:%Y-%m-%d}" for run in runs] == ["9998-12-30", "9998-12-31"]
