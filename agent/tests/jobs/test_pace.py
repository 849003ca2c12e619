# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rate and remaining time of a job, by a clock that the test turns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from papi_backup.jobs.orders import Failure
from papi_backup.jobs.pace import Pace
from papi_backup.jobs.running import TERMINATION_GRACE, UNKILLABLE_SECONDS, RunningJob
from papi_backup.model.job import JobResult, Progress


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def told(
    reports: list[tuple[float, Progress]], at: float, expected: Progress | None = None
) -> tuple[int, int, int, int]:
    clock = Clock()
    pace = Pace(expected or Progress(), clock)
    for seconds, progress in reports:
        clock.now = 1000.0 + seconds
        pace.note(progress)
    clock.now = 1000.0 + at
    progress = pace.progress()
    return progress.files_total, progress.bytes_total, progress.rate, progress.remaining_seconds


def report(done: int, total: int = 0) -> Progress:
    return Progress(bytes_done=done, bytes_total=total)


PACES = [
    ("nothing yet", [], 0, None, (0, 0, 0, 0)),
    ("a steady job", [(1, report(100, 1000)), (2, report(200, 1000))], 2, None, (0, 1000, 100, 8)),
    ("time rounds up", [(3, report(100, 1000))], 3, None, (0, 1000, 33, 28)),
    (
        "only the last seconds count",
        [(10, report(0, 9000)), (20, report(1000, 9000)), (35, report(4000, 9000))],
        35,
        None,
        (0, 9000, 200, 25),
    ),
    ("a storage that hangs", [(1, report(100, 1000))], 60, None, (0, 1000, 0, 0)),
    (
        "a job that began anew",
        [(10, report(5000)), (11, report(0)), (12, report(10))],
        12,
        None,
        (0, 10, 10, 0),
    ),
    ("as the last time", [(10, report(1000))], 10, Progress(0, 7, 0, 5000), (7, 5000, 100, 40)),
    ("more than the last time", [(10, report(6000))], 10, Progress(0, 7, 0, 5000), (7, 6000, 600, 0)),
    ("its own total counts", [(10, report(100, 200))], 10, Progress(0, 0, 0, 5000), (0, 200, 10, 10)),
]


@pytest.mark.parametrize(
    ("reports", "at", "expected", "answer"), [row[1:] for row in PACES], ids=[row[0] for row in PACES]
)
def test_the_pace_of(
    reports: list[tuple[float, Progress]],
    at: float,
    expected: Progress | None,
    answer: tuple[int, int, int, int],
) -> None:
    assert told(reports, at, expected) == answer


def test_a_long_job_keeps_few_reports() -> None:
    clock = Clock()
    pace = Pace(Progress(), clock)
    for turn in range(10_000):
        clock.now += 0.25
        pace.note(report(turn))
    assert len(pace._samples) < 100
    assert pace.progress().rate == 4


@dataclass
class Unkillable:
    """A worker whose process hangs in the kernel: no signal reaches it."""

    terminated: int = 0
    killed: int = 0
    abandoned: int = 0
    told: list[object] = field(default_factory=list)

    def exit_status(self) -> int | None:
        return None

    def messages(self) -> list[object]:
        return self.told

    def terminate(self) -> None:
        self.terminated += 1

    def kill_group(self) -> None:
        self.killed += 1

    def abandon(self) -> None:
        self.abandoned += 1


def test_a_worker_that_hangs_in_the_kernel_is_given_up_after_it_was_killed() -> None:
    clock, worker = Clock(), Unkillable()
    unread: Any = None
    stand_in: Any = worker
    running = RunningJob(unread, unread, stand_in, clock)
    running.end("cancelled by admin")
    clock.now += TERMINATION_GRACE - 0.1
    assert (running.poll(), worker.terminated, worker.killed) == (None, 1, 0)
    clock.now += 0.2
    assert (running.poll(), worker.killed) == (None, 1)
    clock.now += UNKILLABLE_SECONDS
    failure = Failure(3015, "cancelled by admin; its process hangs in the kernel")
    assert (running.poll(), worker.abandoned) == (failure, 1)
    assert (running.poll(), worker.abandoned) == (failure, 1)


def test_a_success_that_was_told_before_the_worker_hung_is_one_also_when_it_was_cancelled() -> None:
    clock, worker = Clock(), Unkillable(told=[JobResult("saved", "full", 1, 1, 1, 1)])
    unread: Any = None
    stand_in: Any = worker
    running = RunningJob(unread, unread, stand_in, clock)
    running.end("cancelled by admin")
    assert running.poll() is None
    clock.now += TERMINATION_GRACE + UNKILLABLE_SECONDS
    assert (running.poll(), worker.abandoned) == (JobResult("saved", "full", 1, 1, 1, 1), 1)
