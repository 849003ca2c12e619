# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cancelling jobs with real worker processes: at once while they wait, in an orderly way while they run."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from supervised_agent import Agent, eventually
from test_supervisor import is_gone, noted_pids

from papi_backup.model.errors import NoSuchEntityError
from papi_backup.model.job import Job, RestoreOptions
from papi_backup.model.secret import Secret
from papi_backup.state.instants import to_text

CANCELLED = ("failed", 3015, "[3015] cancelled by admin")


def outcome(job: Job) -> tuple[str, int, str]:
    return job.job_status, job.error_code, job.description


def test_a_waiting_job_is_cancelled_at_once_and_never_runs(agent: Agent) -> None:
    supervisor = agent.start()
    first = supervisor.enqueue_backup(agent.config("waits"), "full")
    second = supervisor.enqueue_backup(agent.config("etc"), "full")
    third = supervisor.enqueue_backup(agent.config("srv"), "full")
    agent.running(first)
    cancelled = supervisor.cancel(second.job_id, "admin")
    assert outcome(cancelled) == CANCELLED
    assert cancelled.end_date is not None
    (agent.settings.state_dir / "go").touch()
    assert agent.ended(third).job_status == "success"
    assert outcome(agent.job(second)) == CANCELLED


def test_the_key_of_a_waiting_restore_is_erased_when_it_is_cancelled(agent: Agent) -> None:
    storage = agent.store.storages.list()[0]
    supervisor = agent.start()
    supervisor.drain()
    options = RestoreOptions(storage.storage_id, "etc", datetime.now(UTC), "", Secret("open sesame"))
    job = supervisor.enqueue_restore(options)
    supervisor.cancel(job.job_id, "admin")
    rows = agent.store.jobs._database.rows("SELECT restore_key FROM jobs")
    assert [row["restore_key"] for row in rows] == [None]


def test_a_running_job_takes_back_what_it_did_before_it_is_failed(agent: Agent) -> None:
    supervisor = agent.start()
    job = supervisor.enqueue_backup(agent.config("tidies"), "full")
    eventually((agent.settings.state_dir / "tidies").exists, "the helper works")
    assert supervisor.cancel(job.job_id, "admin").job_status == "running"
    assert outcome(agent.ended(job)) == CANCELLED
    assert (agent.settings.state_dir / "helper-tidied").read_text() == "done"
    assert (agent.settings.state_dir / "tidied").read_text() == "the helper ended with 143"


def test_a_job_that_does_not_heed_is_killed_with_its_helpers_after_the_grace(agent: Agent) -> None:
    supervisor = agent.start(termination_grace=1.0)
    job = supervisor.enqueue_backup(agent.config("ignores"), "full")
    pids = noted_pids(agent, "ignores")
    begun = time.monotonic()
    supervisor.cancel(job.job_id, "admin")
    assert outcome(agent.ended(job)) == CANCELLED
    assert 0.9 < time.monotonic() - begun < 5
    for pid in pids:
        eventually(lambda pid=pid: is_gone(pid), f"process {pid} is gone")


def test_a_job_that_stumbles_while_it_ends_was_cancelled_all_the_same(agent: Agent) -> None:
    supervisor = agent.start()
    job = supervisor.enqueue_backup(agent.config("stumbles"), "full")
    noted_pids(agent, "stumbles")
    supervisor.cancel(job.job_id, "admin")
    assert outcome(agent.ended(job)) == CANCELLED


@pytest.mark.parametrize("how", ["cancelled", "stopped"])
def test_a_backup_that_is_ended_when_it_has_committed_is_a_success_and_remembered(
    agent: Agent, how: str
) -> None:
    supervisor = agent.start()
    job = supervisor.enqueue_backup(agent.config("commits"), "full")
    noted_pids(agent, "commits")
    if how == "cancelled":
        assert supervisor.cancel(job.job_id, "admin").job_status == "running"
        time.sleep(0.5)
        (agent.settings.state_dir / "go").touch()
    else:
        threading.Timer(0.5, (agent.settings.state_dir / "go").touch).start()
        supervisor.stop(timeout=0)
    ended = agent.ended(job)
    assert (ended.job_status, ended.error_code, ended.size_transferred) == ("success", 0, 1234)
    assert [chain for chain, key in agent.store.chain_keys.all()] == ["c1"]
    location = agent.store.storages.list()[0].location
    assert agent.store.high_water.get(location, "commits") == "after-nothing"
    assert agent.store.jobs.list() == [ended]


@pytest.mark.parametrize("turn", range(6))
def test_an_outcome_is_told_whole_or_not_at_all_however_late_the_end_comes(agent: Agent, turn: int) -> None:
    supervisor = agent.start()
    job = supervisor.enqueue_backup(agent.config("waits"), "full")
    agent.running(job)
    (agent.settings.state_dir / "go").touch()
    time.sleep(0.004 * turn)
    supervisor.cancel(job.job_id, "admin")
    ended = agent.ended(job)
    assert outcome(ended) == CANCELLED or ended.job_status == "success"


def test_the_first_who_cancels_is_named(agent: Agent) -> None:
    supervisor = agent.start(termination_grace=1.0)
    job = supervisor.enqueue_backup(agent.config("ignores"), "full")
    noted_pids(agent, "ignores")
    supervisor.cancel(job.job_id, "admin")
    time.sleep(0.5)
    supervisor.cancel(job.job_id, "somebody else")
    assert outcome(agent.ended(job)) == CANCELLED


def test_the_next_job_of_a_cancelled_backup_runs(agent: Agent) -> None:
    supervisor = agent.start()
    config = agent.config("waits")
    first = supervisor.enqueue_backup(config, "full")
    second = supervisor.enqueue_backup(config, "inc")
    agent.running(first)
    supervisor.cancel(first.job_id, "admin")
    agent.ended(first)
    (agent.settings.state_dir / "go").touch()
    assert agent.ended(second).job_status == "success"


def test_a_job_that_has_ended_stays_as_it_is(agent: Agent) -> None:
    supervisor = agent.start()
    done = agent.ended(supervisor.enqueue_backup(agent.config("etc"), "full"))
    assert supervisor.cancel(done.job_id, "admin") == done
    again = agent.ended(supervisor.enqueue_backup(agent.config("srv"), "full"))
    assert again.job_status == "success"
    assert agent.job(done) == done


def test_an_unknown_job_is_3007(agent: Agent) -> None:
    with pytest.raises(NoSuchEntityError, match="there is no job 99"):
        agent.start().cancel(99, "admin")


def test_as_many_jobs_as_are_cancelled_while_they_come_are_ended(agent: Agent) -> None:
    """Whatever a job is doing when it is cancelled: waiting, about to start, starting, running."""
    supervisor = agent.start(parallel=2)
    config = agent.config("sleeps")
    for turn in range(12):
        job = supervisor.enqueue_backup(config, "full")
        time.sleep(0.01 * turn)
        supervisor.cancel(job.job_id, "admin")
        assert outcome(agent.ended(job)) == CANCELLED
    eventually(lambda: not supervisor.running_jobs(), "nothing runs")


def test_the_history_is_kept_as_agent_toml_says_and_live_jobs_stay(agent: Agent) -> None:
    agent.settings = replace(agent.settings, history_count=2)
    supervisor = agent.start(parallel=2)
    running = supervisor.enqueue_backup(agent.config("waits"), "full")
    agent.running(running)
    waiting = supervisor.enqueue_backup(agent.store.configs.by_name("waits"), "inc")
    config = agent.config("etc")
    last = [agent.ended(supervisor.enqueue_backup(config, "full")) for unused in range(4)][-1]
    eventually(lambda: len(agent.store.jobs.list()) == 4, "the oldest are gone")
    assert [job.job_id for job in agent.store.jobs.list()] == [
        running.job_id,
        waiting.job_id,
        last.job_id - 1,
        last.job_id,
    ]
    (agent.settings.state_dir / "go").touch()
    agent.ended(waiting)


def test_what_is_too_old_goes_when_the_agent_starts(agent: Agent) -> None:
    config = agent.config("etc")
    supervisor = agent.start()
    old, middle, last = (agent.ended(supervisor.enqueue_backup(config, "full")) for unused in range(3))
    supervisor.stop(timeout=5)
    for job, days in ((old, 400), (middle, 200)):
        ended = to_text(datetime.now(UTC) - timedelta(days=days))
        agent.store.jobs._database.execute(
            "UPDATE jobs SET end_date = ? WHERE job_id = ?", (ended, job.job_id)
        )
    agent.start()
    eventually(lambda: len(agent.store.jobs.list()) == 2, "the old job is gone")
    assert [job.job_id for job in agent.store.jobs.list()] == [middle.job_id, last.job_id]
