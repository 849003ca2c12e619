# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits by time of day, and the priority of a job that follows them."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from papi_backup.jobs.isolation import Priority
from papi_backup.jobs.priority import LOOK_SECONDS, JobPriority
from papi_backup.model.limits import EVERY_DAY, Allowance, Limits, Window

MONDAY = datetime(2026, 3, 2)
OFFICE = Window((0, 1, 2, 3, 4), 8 * 60, 18 * 60, upload=1000)
NIGHT = Window((4,), 22 * 60, 6 * 60, upload=0, nice=0, ionice="none")
MINUTES = st.integers(0, 1439)
DAYS = st.sets(st.sampled_from(EVERY_DAY), min_size=1).map(lambda days: tuple(sorted(days)))


def at(days: int, time: str) -> datetime:
    hours, minutes = time.split(":")
    return MONDAY + timedelta(days=days, hours=int(hours), minutes=int(minutes))


@pytest.mark.parametrize(
    ("day", "time", "holds"),
    [(0, "07:59", False), (0, "08:00", True), (4, "17:59", True), (4, "18:00", False), (5, "12:00", False)],
)
def test_a_window_holds_from_its_start_until_before_its_end(day: int, time: str, holds: bool) -> None:
    assert OFFICE.holds(at(day, time)) is holds


@pytest.mark.parametrize(
    ("day", "time", "holds"),
    [(4, "21:59", False), (4, "22:00", True), (5, "05:59", True), (5, "06:00", False), (4, "03:00", False)],
)
def test_a_window_over_midnight_belongs_to_the_day_it_begins_on(day: int, time: str, holds: bool) -> None:
    assert NIGHT.holds(at(day, time)) is holds


@given(DAYS, MINUTES, MINUTES)
def test_a_week_of_a_window_has_as_many_minutes_as_its_days_say(
    days: tuple[int, ...], start: int, end: int
) -> None:
    window = Window(days, start, end)
    length = (end - start) % 1440 or 1440
    assert sum(window.holds(MONDAY + timedelta(minutes=minute)) for minute in range(7 * 1440)) == (
        length * len(days)
    )


def test_the_first_window_that_holds_decides_and_the_rest_is_as_at_other_times() -> None:
    limits = Limits(upload=5, download=7, windows=(OFFICE, Window(EVERY_DAY, 0, 0, download=0)))
    assert limits.at(at(0, "12:00")) == Allowance(1000, 7)
    assert limits.at(at(0, "20:00")) == Allowance(5, 0)
    assert Limits(upload=5, windows=(OFFICE,)).at(at(6, "12:00")) == Allowance(5, 0)


def test_what_needs_no_wrapper_and_no_look_at_the_clock_is_known() -> None:
    assert not Limits().may_slow_transfers
    assert not Limits(windows=(Window(EVERY_DAY, 0, 1, nice=3),)).may_slow_transfers
    assert Limits(windows=(OFFICE,)).may_slow_transfers
    assert Limits(download=1).may_slow_transfers
    assert not Limits(upload=1, windows=(OFFICE,)).change_priority
    assert Limits(windows=(NIGHT,)).change_priority


class Host:
    """A kernel and two clocks."""

    def __init__(self) -> None:
        self.wall = at(4, "21:00")
        self.time = 0.0
        self.put: list[Priority] = []

    def now(self, zone: ZoneInfo) -> datetime:
        return self.wall.replace(tzinfo=zone)

    def job(self, nice: int = 10, ionice: str = "best-effort") -> JobPriority:
        return JobPriority(
            nice,
            ionice,
            own=lambda: Priority(1, 0),
            put=self.put.append,
            now=self.now,
            monotonic=lambda: self.time,
        )


def test_a_running_job_takes_the_priority_of_the_window_and_gives_it_back() -> None:
    host = Host()
    job = host.job()
    job.follow(Limits(windows=(NIGHT,)))
    times = {100: at(4, "21:59"), 200: at(4, "22:00"), 300: at(5, "05:00"), 400: at(5, "07:00")}
    for time, wall in times.items():
        host.time, host.wall = time, wall
        job.look()
    assert host.put == [Priority(11, 2 << 13 | 7), Priority(1, 0), Priority(11, 2 << 13 | 7)]


def test_the_clock_is_not_looked_at_more_often_than_it_is_worth() -> None:
    host = Host()
    job = host.job()
    job.follow(Limits(windows=(NIGHT,)))
    host.wall, host.time = at(4, "23:00"), LOOK_SECONDS / 2
    job.look()
    assert len(host.put) == 1
    host.time = LOOK_SECONDS
    job.look()
    assert len(host.put) == 2


def test_a_niceness_never_goes_beyond_the_lowest_priority() -> None:
    assert Priority(15, 3).lowered(19, "none") == Priority(19, 3)


SHOW_PRIORITIES = """
import os, subprocess, sys
from papi_backup.jobs.priority import JobPriority
from papi_backup.model.limits import EVERY_DAY, Limits, Window
sleeper = subprocess.Popen(["sleep", "60"])
job = JobPriority(3, "none")
job.follow(Limits(windows=(Window(EVERY_DAY, 0, 0, nice=5, ionice="idle"),)))
print(os.nice(0), os.getpriority(os.PRIO_PROCESS, sleeper.pid))
print(subprocess.run(["ionice", "-p", str(sleeper.pid)], capture_output=True, text=True).stdout)
sleeper.kill()
sleeper.wait()
"""


def test_the_kernel_gives_the_priority_to_all_processes_of_the_job() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHOW_PRIORITIES],
        capture_output=True,
        text=True,
        check=True,
        start_new_session=True,
    )
    niceness = os.nice(0) + 5
    assert done.stdout.split() == [str(niceness), str(niceness), "idle"]
