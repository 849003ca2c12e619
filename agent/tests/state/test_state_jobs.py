# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a job: queued once, started once, ended once, remembered."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from papi_backup.model.errors import InvalidParameterError
from papi_backup.model.job import Job, JobResult, JobType, RestoreOptions
from papi_backup.model.schedule import BackupType
from papi_backup.model.secret import Secret
from papi_backup.state.jobs import JobRequest, JobTransitionError
from papi_backup.state.store import Store

ADDED = datetime(2026, 3, 1, 11, 59, 30, 250000, tzinfo=UTC)
RESTORE = RestoreOptions(
    storage_id=3,
    backup_name="etc",
    restore_date=datetime(2026, 2, 1, tzinfo=timezone(timedelta(hours=2))),
    hostname="web1.example",
    encryption_key=Secret("restore passphrase"),
    target_dir="/tmp/target-\udcff",
    include=("/etc/hosts", "/etc/*.conf"),
    overwrite="never",
    numeric_owner=True,
)
RESULT = JobResult("saved", "full", 1000, 20, 5000, 900, warnings=("unreadable: /etc/x",))


def queued(
    store: Store,
    name: str = "etc",
    backup_type: BackupType = "inc",
    request_id: str = "",
    job_type: JobType = "backup",
) -> Job:
    job = Job(0, job_type, "waiting", name, backup_type, ADDED, request_id=request_id)
    order = JobRequest(7) if job_type == "backup" else JobRequest(restore=RESTORE)
    return store.jobs.add(job, order)


def test_a_queued_job_waits_with_its_order(store: Store) -> None:
    job = queued(store)
    assert job == Job(1, "backup", "waiting", "etc", "inc", ADDED, backup_id=7)
    assert store.jobs.get(1) == job
    assert store.jobs.next_waiting(()) == (job, JobRequest(7))


def test_a_restore_gets_all_its_options_back_with_the_key(store: Store) -> None:
    queued(store, job_type="restore")
    found = store.jobs.next_waiting(())
    assert found is not None
    assert found[1] == JobRequest(restore=RESTORE)


def test_jobs_of_busy_backups_wait_and_others_pass_them(store: Store) -> None:
    first, second = queued(store, "etc"), queued(store, "srv")
    assert [found and found[0] for found in map(store.jobs.next_waiting, ([], ["etc"], ["etc", "srv"]))] == [
        first,
        second,
        None,
    ]


def test_starting_keeps_the_date_the_job_was_added(store: Store) -> None:
    started = store.jobs.start(queued(store).job_id)
    assert started.job_status == "running"
    assert started.start_date == ADDED
    assert store.jobs.next_waiting(()) is None


def test_a_finished_job_tells_what_the_worker_reported(store: Store, clock: Callable[[], datetime]) -> None:
    job = queued(store)
    store.jobs.start(job.job_id)
    assert store.jobs.finish(job.job_id, RESULT) == replace(
        job,
        job_status="success",
        backup_type="full",
        end_date=clock(),
        description="saved",
        size_transferred=1000,
        files=20,
        bytes_read=5000,
        bytes_stored=900,
        warnings=1,
    )
    assert store.jobs.get(job.job_id).job_status == "success"


def test_a_failed_job_tells_its_code_and_why(store: Store, clock: Callable[[], datetime]) -> None:
    job = queued(store)
    assert store.jobs.fail(job.job_id, 4002, "[4002] wrong key") == replace(
        job, job_status="failed", end_date=clock(), description="[4002] wrong key", error_code=4002
    )


def test_undecodable_file_names_in_a_description_are_escaped(store: Store) -> None:
    job = store.jobs.fail(queued(store).job_id, 4005, "lost /srv/\udcff\u00e9")
    assert job.description == "lost /srv/\\udcff\u00e9"


STEPS: dict[str, Callable[[Store, int], object]] = {
    "start": lambda store, job_id: store.jobs.start(job_id),
    "finish": lambda store, job_id: store.jobs.finish(job_id, RESULT),
    "fail": lambda store, job_id: store.jobs.fail(job_id, 4001, "gone"),
    "cancel": lambda store, job_id: store.jobs.cancel(job_id, 3015, "cancelled"),
}


@pytest.mark.parametrize(
    ("done", "refused"),
    [
        (["start"], "start"),
        (["start"], "cancel"),
        (["cancel"], "start"),
        (["cancel"], "cancel"),
        (["finish"], "cancel"),
        *(
            ([*before, end], step)
            for before in ([], ["start"])
            for end in ("finish", "fail")
            for step in ("start", "finish", "fail")
        ),
    ],
)
def test_a_step_from_the_wrong_state_is_refused_and_changes_nothing(
    store: Store, done: list[str], refused: str
) -> None:
    job_id = queued(store).job_id
    for step in done:
        STEPS[step](store, job_id)
    before = store.jobs.get(job_id)
    with pytest.raises(JobTransitionError, match=f"cannot {refused} job {job_id}: it is {before.job_status}"):
        STEPS[refused](store, job_id)
    assert store.jobs.get(job_id) == before


def test_of_many_threads_that_start_a_job_one_succeeds(store: Store) -> None:
    job_id = queued(store).job_id
    outcomes: list[bool] = []
    gate = threading.Barrier(8)

    def attempt() -> None:
        gate.wait()
        try:
            store.jobs.start(job_id)
        except JobTransitionError:
            outcomes.append(False)
        else:
            outcomes.append(True)

    threads = [threading.Thread(target=attempt) for unused in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False] * 7 + [True]


def test_jobs_that_ran_when_the_agent_died_are_known_and_waiting_ones_stay(
    open_store: Callable[..., Store],
) -> None:
    with open_store() as store:
        running, waiting, done = (queued(store, name) for name in ("a", "b", "c"))
        store.jobs.start(running.job_id)
        store.jobs.finish(done.job_id, RESULT)
    with open_store() as store:
        assert [job.job_id for job in store.jobs.running()] == [running.job_id]
        assert store.jobs.get(waiting.job_id).job_status == "waiting"
        assert store.jobs.get(done.job_id).job_status == "success"


@pytest.mark.parametrize("end", ["finish", "fail", "cancel"])
def test_the_key_of_a_restore_is_erased_when_it_ends(store: Store, end: str) -> None:
    job_id = queued(store, job_type="restore").job_id
    database = store._database
    sealed = database.rows("SELECT restore_key FROM jobs")[0][0]
    STEPS[end](store, job_id)
    assert database.rows("SELECT restore_key FROM jobs")[0][0] is None
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert sealed not in database.path.read_bytes()


UNREADABLE_OPTIONS = "options in the state are damaged"
DAMAGES = {
    "an altered key": ("restore_key", lambda value: value[:-1] + bytes([value[-1] ^ 1]), "does not open"),
    "no key": ("restore_key", None, "no sealed value"),
    "text for a key": ("restore_key", "text", "no sealed value"),
    "an empty key": ("restore_key", b"", "no sealed value"),
    "options cut off": ("restore_options", lambda value: value[:20], UNREADABLE_OPTIONS),
    "other options": ("restore_options", "[1]", UNREADABLE_OPTIONS),
    "a number for a date": (
        "restore_options",
        lambda value: json.dumps(json.loads(value) | {"restore_date": 7}),
        UNREADABLE_OPTIONS,
    ),
}
SET = {
    "restore_key": "UPDATE jobs SET restore_key = ? WHERE job_id = ?",
    "restore_options": "UPDATE jobs SET restore_options = ? WHERE job_id = ?",
}


@pytest.mark.parametrize(("column", "damage", "told"), DAMAGES.values(), ids=DAMAGES)
def test_a_waiting_restore_whose_order_is_damaged_fails_and_keeps_no_other_job_waiting(
    store: Store, column: str, damage: Any, told: str
) -> None:
    broken = queued(store, "www", job_type="restore")
    behind = queued(store)
    (row,) = store._database.rows("SELECT * FROM jobs WHERE job_id = ?", (broken.job_id,))
    value = damage(row[column]) if callable(damage) else damage
    store._database.execute(SET[column], (value, broken.job_id))
    assert store.jobs.next_waiting(("www",)) == (behind, JobRequest(7))
    assert store.jobs.get(broken.job_id).job_status == "waiting"
    assert store.jobs.next_waiting(()) == (behind, JobRequest(7))
    failed = store.jobs.get(broken.job_id)
    assert (failed.job_status, failed.error_code) == ("failed", 3015)
    assert failed.description.startswith("[3015] the order of this job cannot be read (")
    assert told in failed.description


def test_a_repeated_request_gets_the_job_it_made(store: Store) -> None:
    first = queued(store, request_id="r-1")
    assert queued(store, request_id="r-1") == first
    assert store.jobs.by_request_id("r-1") == first
    assert store.jobs.list() == [first]


@pytest.mark.parametrize(("name", "job_type"), [("srv", "backup"), ("etc", "restore")])
def test_a_request_id_of_other_work_is_refused_where_the_job_is_made(
    store: Store, name: str, job_type: JobType
) -> None:
    """Two calls may race past any earlier look."""
    first = queued(store, request_id="r-1")
    with pytest.raises(InvalidParameterError, match="'request_id': it was used for the backup of 'etc'"):
        queued(store, name, request_id="r-1", job_type=job_type)
    assert store.jobs.list() == [first]


def test_no_request_id_is_no_request(store: Store) -> None:
    assert queued(store).job_id != queued(store).job_id
    assert store.jobs.by_request_id("") is None
    assert store.jobs.by_request_id("unknown") is None


def test_the_list_is_in_creation_order(store: Store) -> None:
    for name in "abcde":
        queued(store, name)
    assert [job.job_id for job in store.jobs.list()] == [1, 2, 3, 4, 5]


def test_the_last_job_is_the_newest_backup_of_that_name_and_type(store: Store) -> None:
    queued(store, "etc", "inc")
    newest = queued(store, "etc", "inc")
    for other in (("etc", "full"), ("srv", "inc")):
        queued(store, *other)
    queued(store, "etc", "inc", job_type="restore")
    assert store.jobs.last("etc", "inc") == newest
    assert store.jobs.last("srv", "full") is None


def test_the_last_success_is_what_a_next_backup_is_measured_by(store: Store) -> None:
    assert store.jobs.last_success("etc", "full") is None
    for name in ("etc", "etc", "srv", "etc"):
        queued(store, name, "full")
    queued(store, "etc", "full", job_type="restore")
    for job_id in (1, 2, 3, 5):
        store.jobs.finish(job_id, RESULT)
    store.jobs.fail(4, 4001, "gone")
    last = store.jobs.last_success("etc", "full")
    assert last is not None and last.job_id == 2
    assert store.jobs.last_success("etc", "inc") is None


def test_history_is_bounded_by_count_and_age_and_live_jobs_stay(store: Store, clock: Any) -> None:
    for name in "abcdef":
        queued(store, name)
    store.jobs.start(1)
    for job_id in (3, 4, 5, 6):
        store.jobs.fail(job_id, 4001, "gone")
        clock.forward(days=1)
    assert store.jobs.prune(0, 0) == 0
    assert store.jobs.prune(0, 3) == 1  # job 3 ended four days ago
    assert [job.job_id for job in store.jobs.list()] == [1, 2, 4, 5, 6]
    assert store.jobs.prune(1, 0) == 2
    assert [job.job_id for job in store.jobs.list()] == [1, 2, 6]
    assert queued(store).job_id == 7


def test_a_long_job_that_has_just_ended_is_not_the_oldest_of_the_history(store: Store, clock: Any) -> None:
    for name in "abc":
        queued(store, name)
    for job_id in (2, 3, 1):
        clock.forward(days=1)
        store.jobs.fail(job_id, 4001, "gone")
    assert store.jobs.prune(2, 0) == 1
    assert [job.job_id for job in store.jobs.list()] == [1, 3]


def test_a_job_without_a_timezone_is_a_mistake_of_the_program(store: Store) -> None:
    with pytest.raises(ValueError, match="timezone"):
        store.jobs.add(Job(0, "backup", "waiting", "etc", "full", ADDED.replace(tzinfo=None)), JobRequest(1))
    assert store.jobs.list() == []
