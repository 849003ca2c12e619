# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job history is bounded, and neither a wrong clock nor a busy neighbour takes what is still needed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from papi_backup.model.job import Job, JobResult
from papi_backup.model.schedule import BackupConfig, BackupType
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage
from papi_backup.state.jobs import JobRequest
from papi_backup.state.store import Store

RESULT = JobResult("saved", "full", 1000, 20, 5000, 900)
YEARS = 3 * 366


def ran(store: Store, clock: Any, name: str = "etc", backup_type: BackupType = "full", code: int = 0) -> int:
    """Run a job, and return its id."""
    job = store.jobs.add(Job(0, "backup", "waiting", name, backup_type, clock()), JobRequest(1))
    if code:
        store.jobs.fail(job.job_id, code, "gone")
    else:
        store.jobs.finish(job.job_id, RESULT)
    return job.job_id


def daily(store: Store, clock: Any, days: int) -> list[int]:
    ids = []
    for turn in range(days):
        ids.append(ran(store, clock, "etc" if turn % 2 else "srv"))
        clock.forward(days=1)
    return ids


def left(store: Store) -> list[int]:
    return [job.job_id for job in store.jobs.list()]


def configure(store: Store, name: str) -> None:
    storages = store.storages.list() or [store.storages.add(S3Storage("s", "id", Secret("k"), "b", 8))]
    store.configs.add(BackupConfig(name, storages[0].storage_id))


def test_a_host_that_boots_with_a_clock_years_ahead_keeps_its_history(store: Store, clock: Any) -> None:
    ids = daily(store, clock, 10)
    clock.forward(days=YEARS)
    assert store.jobs.prune(0, 366) == 0
    assert left(store) == ids


def test_jobs_that_end_by_such_a_clock_do_not_cost_the_history_either(store: Store, clock: Any) -> None:
    ids = daily(store, clock, 10)
    clock.forward(days=YEARS)
    ids += daily(store, clock, 5)
    assert store.jobs.prune(0, 366) == 0
    clock.forward(days=-YEARS)
    ids += daily(store, clock, 5)
    assert store.jobs.prune(0, 366) == 0
    assert left(store) == ids


def test_after_a_long_silence_the_history_goes_on_to_age(store: Store, clock: Any) -> None:
    daily(store, clock, 10)
    clock.forward(days=YEARS)
    newer = daily(store, clock, 6)
    # A silence counts as a day: the jobs before it ended 6 to 16 days of the host's life ago.
    assert store.jobs.prune(0, 11) == 5
    assert store.jobs.prune(0, 6) == 5
    assert left(store) == newer


def test_two_silences_are_two(store: Store, clock: Any) -> None:
    ids = []
    for turn in range(3):
        ids += daily(store, clock, 3)
        clock.forward(days=YEARS * (turn + 1))
    assert store.jobs.prune(0, 30) == 0
    assert store.jobs.prune(0, 5) == 4
    assert left(store) == ids[4:]


@pytest.mark.parametrize("keep_days", [1, 7, 366])
def test_without_a_silence_age_is_what_the_clock_says(store: Store, clock: Any, keep_days: int) -> None:
    ids = daily(store, clock, 10)
    store.jobs.prune(0, keep_days)
    assert left(store) == ids[-keep_days:]


@pytest.mark.parametrize(("count", "days"), [(2, 0), (0, 5)], ids=["count", "days"])
def test_the_last_job_and_the_last_success_of_each_configuration_and_type_stay(
    store: Store, clock: Any, count: int, days: int
) -> None:
    began = clock.now
    for name in ("etc", "busy"):
        configure(store, name)
    ran(store, clock, "etc", "full")
    success, last_full = ran(store, clock, "etc", "full"), ran(store, clock, "etc", "full", code=4001)
    last_inc = ran(store, clock, "etc", "inc", code=4001)
    ran(store, clock, "forgotten", "full")
    while clock.now < began + timedelta(days=20):
        clock.forward(days=1)
        newest = ran(store, clock, "busy", "inc")
    store.jobs.prune(count, days)
    assert left(store)[:3] == [success, last_full, last_inc]
    assert left(store)[-1] == newest
    assert all(store.jobs.get(job_id).backup_name == "busy" for job_id in left(store)[3:])
    assert len(left(store)) < 10
    assert store.jobs.last_success("etc", "full") == store.jobs.get(success)
