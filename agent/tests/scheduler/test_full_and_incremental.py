# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the two schedules of a configuration do together: the full wins."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from papi_backup.model.schedule import Schedule
from papi_backup.scheduler.schedule import next_runs
from papi_backup.scheduler.upcoming import NextRuns, next_of_each, planned_runs

ROME = ZoneInfo("Europe/Rome")
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
SUNDAYS = Schedule("weekly", time_list=(0,), time_run=(2,))
DAILY = Schedule("daily", time_run=(2,))


def planned(full: Schedule, inc: Schedule, after: datetime, count: int, minute: int = 0) -> list[str]:
    found = islice(planned_runs(full, inc, after, ROME, minute), count)
    return [f"{run.instant:%m-%d %H:%M} {run.backup_type}" for run in found]


def test_on_sundays_the_full_runs_in_place_of_the_incremental() -> None:
    assert planned(SUNDAYS, DAILY, datetime(2026, 1, 2, 12, tzinfo=UTC), 4) == [
        "01-03 02:00 inc",
        "01-04 02:00 full",
        "01-05 02:00 inc",
        "01-06 02:00 inc",
    ]


def test_at_different_hours_of_one_day_both_run() -> None:
    full = Schedule("weekly", time_list=(0,), time_run=(4,))
    assert planned(full, DAILY, datetime(2026, 1, 3, 12, tzinfo=UTC), 3) == [
        "01-04 02:00 inc",
        "01-04 04:00 full",
        "01-05 02:00 inc",
    ]


def test_where_a_change_of_the_clock_makes_them_one_instant_the_full_runs() -> None:
    full = Schedule("daily", time_run=(3,))
    assert planned(full, DAILY, datetime(2026, 3, 28, 12, tzinfo=UTC), 3) == [
        "03-29 03:00 full",
        "03-30 02:00 inc",
        "03-30 03:00 full",
    ]
    assert planned(full, DAILY, datetime(2026, 3, 28, 12, tzinfo=UTC), 2, minute=30) == [
        "03-29 03:00 inc",
        "03-29 03:30 full",
    ]


def test_one_schedule_alone_is_planned_alone_and_none_not_at_all() -> None:
    assert planned(Schedule(), DAILY, NEW_YEAR, 1) == ["01-01 02:00 inc"]
    assert planned(DAILY, Schedule(), NEW_YEAR, 1) == ["01-01 02:00 full"]
    assert planned(Schedule(), Schedule(), NEW_YEAR, 1) == []


def test_of_each_type_the_next_are_told_without_what_the_full_takes() -> None:
    found = next_of_each(SUNDAYS, DAILY, datetime(2026, 1, 2, 12, tzinfo=UTC), ROME, count=2)
    assert [f"{run:%m-%d}" for run in found.full] == ["01-04", "01-11"]
    assert [f"{run:%m-%d}" for run in found.inc] == ["01-03", "01-05"]


def test_an_incremental_schedule_that_is_taken_whole_has_no_next_run() -> None:
    assert next_of_each(Schedule("hourly"), DAILY, NEW_YEAR, ROME, count=3).inc == ()
    assert next_of_each(Schedule(), Schedule(), NEW_YEAR, ROME, count=3) == NextRuns()


def test_an_incremental_that_is_free_in_one_month_of_the_year_is_found() -> None:
    full = Schedule("yearly", time_list=tuple(range(1, 12)), day_run=tuple(range(1, 32)), time_run=(2,))
    found = next_of_each(full, DAILY, NEW_YEAR, ROME, count=1)
    assert [str(run) for run in found.inc] == ["2026-12-01 02:00:00+01:00"]


FREQUENT = st.builds(
    Schedule,
    st.sampled_from(["weekly", "daily", "hourly"]),
    st.integers(1, 9),
    st.lists(st.integers(0, 6), max_size=3).map(tuple),
    st.just(()),
    st.lists(st.integers(0, 4), max_size=3).map(tuple),
)


@settings(deadline=None)
@given(FREQUENT, FREQUENT, st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)))
def test_the_plan_has_every_instant_of_both_once(full: Schedule, inc: Schedule, after: datetime) -> None:
    plan = list(islice(planned_runs(full, inc, after, ROME, 30), 12))
    end = plan[-1].instant.astimezone(UTC)
    both = [
        {run.astimezone(UTC) for run in next_runs(each, after, ROME, 12, 30) if run.astimezone(UTC) <= end}
        for each in (full, inc)
    ]
    assert [run.instant.astimezone(UTC) for run in plan] == sorted(both[0] | both[1])
    assert {run.instant.astimezone(UTC) for run in plan if run.backup_type == "full"} == both[0]
