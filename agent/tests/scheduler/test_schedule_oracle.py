# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Schedules against an oracle that walks through time, written from docs/schedules.md alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schedule_oracle import oracle_runs

from papi_backup.model.schedule import PERIODS, Period, Schedule
from papi_backup.scheduler.schedule import runs

ZONES = (
    "Europe/Rome",
    "America/New_York",
    "America/Santiago",
    "Australia/Sydney",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "UTC",
)
START = datetime(2024, 1, 1, tzinfo=UTC)
THREE_YEARS = timedelta(days=3 * 365 + 1)
UNITS: dict[Period, tuple[int, int]] = {
    "yearly": (1, 12),
    "monthly": (1, 31),
    "weekly": (0, 6),
    "hourly": (0, 23),
}


def numbers(low: int, high: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.lists(st.integers(low, high), max_size=6).map(tuple)


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    period = draw(st.sampled_from(PERIODS))
    return Schedule(
        period,
        draw(st.one_of(st.integers(1, 8), st.integers(1, 366))),
        draw(numbers(*UNITS.get(period, (0, 31)))),
        draw(numbers(1, 31)) if period == "yearly" else (),
        draw(numbers(0, 23) | numbers(0, 3)) if period != "hourly" else (),
    )


def compare(schedule: Schedule, zone: str, minute: int, start: datetime, end: datetime) -> None:
    expected = oracle_runs(
        period=schedule.period,
        frequency=schedule.frequency,
        time_list=schedule.time_list,
        day_run=schedule.day_run,
        time_run=schedule.time_run,
        zone=zone,
        minute=minute,
        start=start,
        end=end,
    )
    ours = (run.astimezone(UTC) for run in runs(schedule, start, ZoneInfo(zone), minute))
    assert list(takewhile(lambda run: run <= end, ours)) == expected


@pytest.mark.slow
@pytest.mark.sampled(2)
@pytest.mark.parametrize("zone", ZONES)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(schedule=schedules(), minute=st.integers(0, 59))
def test_over_three_years_no_run_is_lost_and_none_doubled(zone: str, schedule: Schedule, minute: int) -> None:
    compare(schedule, zone, minute, START, START + THREE_YEARS)


@settings(max_examples=150, deadline=None)
@given(
    schedule=schedules(),
    zone=st.sampled_from(ZONES),
    minute=st.integers(0, 59),
    start=st.datetimes(START.replace(tzinfo=None), datetime(2026, 12, 1), timezones=st.just(UTC)),
)
def test_over_a_month_from_any_instant(schedule: Schedule, zone: str, minute: int, start: datetime) -> None:
    compare(schedule, zone, minute, start, start + timedelta(days=31))


@pytest.mark.slow
@pytest.mark.sampled(4)
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("minute", [0, 29, 30, 31, 59])
def test_every_hour_of_three_years(zone: str, minute: int) -> None:
    compare(Schedule("hourly"), zone, minute, START, START + THREE_YEARS)
