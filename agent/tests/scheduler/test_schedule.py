# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a schedule runs (docs/schedules.md): each rule by an example, and what holds for all schedules."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from papi_backup.model.schedule import PERIODS, Period, Schedule
from papi_backup.scheduler.schedule import first_missed, minute_of, next_runs, place

ROME = ZoneInfo("Europe/Rome")


def plan(period: Period, frequency: int = 1, units: str = "", days: str = "", hours: str = "") -> Schedule:
    time_list, day_run, time_run = (tuple(map(int, text.split())) for text in (units, days, hours))
    return Schedule(period, frequency, time_list, day_run, time_run)


EXAMPLES: list[tuple[str, Schedule, str, str]] = [
    ("deactivated never runs", plan("deactivated", hours="3"), "2026-01-01", ""),
    (
        "yearly, frequency 2: every other month from January, on day 1 at hour 0",
        plan("yearly", 2),
        "2026-01-15",
        "2026-03-01 00:00, 2026-05-01 00:00, 2026-07-01 00:00",
    ),
    (
        "yearly: the count restarts each year",
        plan("yearly", 5),
        "2026-10-01",
        "2026-11-01 00:00, 2027-01-01 00:00, 2027-06-01 00:00",
    ),
    (
        "yearly with a list: frequency counts what the list allows",
        plan("yearly", 2, units="12 3 7"),
        "2026-01-01",
        "2026-03-01 00:00, 2026-12-01 00:00, 2027-03-01 00:00",
    ),
    (
        "yearly with days and hours",
        plan("yearly", units="6", days="15 1", hours="23 4"),
        "2026-01-01",
        "2026-06-01 04:00, 2026-06-01 23:00, 2026-06-15 04:00",
    ),
    (
        "a day the month lacks is skipped",
        plan("yearly", units="1 2 3 4", days="31"),
        "2026-01-31",
        "2026-03-31 00:00, 2027-01-31 00:00, 2027-03-31 00:00",
    ),
    ("a date no year has never runs", plan("yearly", units="2", days="30"), "2026-01-01", ""),
    (
        "29 February waits for a leap year",
        plan("yearly", units="2", days="29"),
        "2026-01-01",
        "2028-02-29 00:00, 2032-02-29 00:00, 2036-02-29 00:00",
    ),
    (
        "monthly, frequency 10: days 1, 11, 21, 31, counted anew each month",
        plan("monthly", 10),
        "2026-02-12",
        "2026-02-21 00:00, 2026-03-01 00:00, 2026-03-11 00:00",
    ),
    (
        "weekly: 0 is Sunday",
        plan("weekly", units="0", hours="12"),
        "2026-01-01",
        "2026-01-04 12:00, 2026-01-11 12:00, 2026-01-18 12:00",
    ),
    (
        "weekly, frequency 3: Sunday, Wednesday, Saturday, counted anew each week",
        plan("weekly", 3),
        "2026-01-02",
        "2026-01-03 00:00, 2026-01-04 00:00, 2026-01-07 00:00",
    ),
    (
        "daily: frequency counts days from 1970-01-01, across months and years",
        plan("daily", 2, hours="6"),
        "2026-12-29",
        "2026-12-29 06:00, 2026-12-31 06:00, 2027-01-02 06:00",
    ),
    (
        "daily does not look at time_list",
        plan("daily", units="5"),
        "2026-01-01",
        "2026-01-02 00:00, 2026-01-03 00:00, 2026-01-04 00:00",
    ),
    (
        "hourly, frequency 7: hours 0, 7, 14, 21, counted anew each day",
        plan("hourly", 7),
        "2026-01-01 14:00",
        "2026-01-01 21:00, 2026-01-02 00:00, 2026-01-02 07:00",
    ),
    (
        "hourly with a list does not look at time_run",
        plan("hourly", units="9 17", hours="3"),
        "2026-01-01",
        "2026-01-01 09:00, 2026-01-01 17:00, 2026-01-02 09:00",
    ),
]


@pytest.mark.parametrize(
    ("schedule", "after", "runs"), [row[1:] for row in EXAMPLES], ids=[row[0] for row in EXAMPLES]
)
def test_a_schedule_runs(schedule: Schedule, after: str, runs: str) -> None:
    found = next_runs(schedule, datetime.fromisoformat(after), ROME, 3)
    assert ", ".join(f"{run:%Y-%m-%d %H:%M}" for run in found) == runs


CLOCK_CHANGES: list[tuple[str, str, str, Schedule, int, list[str]]] = [
    (
        "a time that does not exist runs at the next that does",
        "Europe/Rome",
        "2026-03-28 12:00+01:00",
        plan("daily", hours="2"),
        30,
        ["2026-03-29 03:00:00+02:00", "2026-03-30 02:30:00+02:00"],
    ),
    (
        "two local times that become one instant run once",
        "Europe/Rome",
        "2026-03-29 01:00+01:00",
        plan("hourly"),
        0,
        ["2026-03-29 03:00:00+02:00", "2026-03-29 04:00:00+02:00"],
    ),
    (
        "a time that comes twice runs the first time only",
        "Europe/Rome",
        "2026-10-25 02:00+02:00",
        plan("hourly"),
        30,
        ["2026-10-25 02:30:00+02:00", "2026-10-25 03:30:00+01:00"],
    ),
    (
        "asked between the two, it has run already",
        "Europe/Rome",
        "2026-10-25 02:10+01:00",
        plan("hourly"),
        30,
        ["2026-10-25 03:30:00+01:00"],
    ),
    (
        "a change of half an hour",
        "Australia/Lord_Howe",
        "2026-10-04 01:30+10:30",
        plan("hourly"),
        17,
        ["2026-10-04 02:30:00+11:00", "2026-10-04 03:17:00+11:00"],
    ),
    (
        "a day that a zone skipped",
        "Pacific/Apia",
        "2011-12-29 12:00-10:00",
        plan("daily"),
        30,
        ["2011-12-31 00:00:00+14:00", "2011-12-31 00:30:00+14:00"],
    ),
]


@pytest.mark.parametrize(
    ("zone", "after", "schedule", "minute", "runs"),
    [row[1:] for row in CLOCK_CHANGES],
    ids=[row[0] for row in CLOCK_CHANGES],
)
def test_when_the_clocks_change(
    zone: str, after: str, schedule: Schedule, minute: int, runs: list[str]
) -> None:
    found = next_runs(schedule, datetime.fromisoformat(after), ZoneInfo(zone), len(runs), minute)
    assert [str(run) for run in found] == runs


OUT_OF_BOUNDS = [
    plan("yearly", units="13"),
    plan("yearly", days="32"),
    plan("monthly", units="0"),
    plan("weekly", units="7"),
    plan("hourly", units="24"),
    plan("daily", hours="-1"),
    plan("daily", frequency=0),
]


@pytest.mark.parametrize("schedule", OUT_OF_BOUNDS, ids=str)
def test_numbers_out_of_bounds_are_refused(schedule: Schedule) -> None:
    with pytest.raises(ValueError, match=r"outside|frequency"):
        next_runs(schedule, datetime(2026, 1, 1, tzinfo=UTC), UTC, 1)


def test_a_frequency_beyond_all_years_never_runs_and_is_told_at_once() -> None:
    assert next_runs(plan("daily", frequency=10**12), datetime(2026, 1, 1, tzinfo=UTC), UTC, 1) == []


def test_the_minutes_of_a_fleet_are_stable_and_spread_over_the_hour() -> None:
    hosts = [f"host{number}.example" for number in range(1000)]
    minutes = Counter(minute_of(host) for host in hosts)
    assert minutes == Counter(minute_of(host) for host in hosts)
    assert set(minutes) == set(range(60))
    assert max(minutes.values()) < 45
    assert minute_of("web1.example") == 5


def test_a_missed_run_is_the_first_in_the_time_that_was_missed() -> None:
    since, now = datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 1, 5, 12, tzinfo=UTC)
    assert first_missed(plan("daily"), since, now, UTC) == datetime(2026, 1, 2, tzinfo=UTC)
    assert first_missed(plan("daily"), since, since + timedelta(hours=11), UTC) is None
    assert first_missed(plan("daily"), since, since + timedelta(hours=12), UTC) == datetime(
        2026, 1, 2, tzinfo=UTC
    )


ZONES = ("UTC", "Europe/Rome", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Santiago")
SCHEDULES = st.builds(
    Schedule,
    st.sampled_from([period for period in PERIODS if period != "deactivated"]),
    st.integers(1, 12),
    st.lists(st.integers(1, 6), max_size=3).map(tuple),
    st.lists(st.integers(1, 31), max_size=3).map(tuple),
    st.lists(st.integers(0, 23), max_size=3).map(tuple),
)
INSTANTS = st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))


@settings(deadline=None)
@given(SCHEDULES, INSTANTS, st.sampled_from(ZONES).map(ZoneInfo), st.integers(0, 59))
def test_runs_ascend_and_none_is_lost_or_doubled_when_asked_for_one_by_one(
    schedule: Schedule, after: datetime, zone: ZoneInfo, minute: int
) -> None:
    together = next_runs(schedule, after, zone, 8, minute)
    assert all(earlier < later for earlier, later in zip([after, *together], together, strict=False))
    one_by_one = []
    while len(one_by_one) < len(together):
        after = next_runs(schedule, after, zone, 1, minute)[0]
        one_by_one.append(after)
    assert one_by_one == together


@settings(deadline=None)
@given(SCHEDULES, INSTANTS, st.sampled_from(ZONES).map(ZoneInfo), st.integers(0, 59))
def test_a_run_is_at_a_wanted_hour_and_minute_unless_that_time_did_not_exist(
    schedule: Schedule, after: datetime, zone: ZoneInfo, minute: int
) -> None:
    for run in next_runs(schedule, after, zone, 8, minute):
        wanted_hour = schedule.period == "hourly" or run.hour in (schedule.time_run or (0,))
        a_second_before = (run.astimezone(UTC) - timedelta(seconds=1)).astimezone(zone)
        after_a_jump = run.utcoffset() != a_second_before.utcoffset()
        assert (wanted_hour and run.minute == minute) or after_a_jump


@given(st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1)), st.sampled_from(ZONES).map(ZoneInfo))
def test_a_local_time_is_placed_on_itself_or_on_the_end_of_a_jump(local: datetime, zone: ZoneInfo) -> None:
    local = local.replace(microsecond=0)
    placed = place(local, zone)
    if placed.replace(tzinfo=None) == local:
        assert placed.astimezone(UTC) <= local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    else:
        assert placed.replace(tzinfo=None) > local
        just_before = (placed.astimezone(UTC) - timedelta(seconds=1)).astimezone(zone)
        assert just_before.replace(tzinfo=None) < local
