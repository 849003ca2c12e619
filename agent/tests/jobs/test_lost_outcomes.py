# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backup jobs whose outcome was lost: the manifest on the storage decides, as soon as the storage tells."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from supervised_agent import Agent, eventually

from papi_backup.model.errors import InvalidStorageError
from papi_backup.model.job import Job, JobResult
from papi_backup.model.secret import Secret
from papi_backup.state.jobs import JobRequest
from papi_backup.state.unsettled import Unsettled

ID = "00000000000000aa"
FOUND = JobResult(
    description="Full backup of 3 files, 100 bytes; read 100, stored 77 bytes.",
    backup_type="full",
    size_transferred=77,
    files=3,
    bytes_read=100,
    bytes_stored=77,
    warning_count=2,
    chain="c9",
    chain_key=Secret("chain-key-text"),
    high_water=ID,
)
HUNG = InvalidStorageError("storage 'bucket' did not answer within 30 s")


def died_with(agent: Agent, name: str = "etc") -> Job:
    """A job that ran when its agent lost power, after the state knew which backup it would write."""
    config = agent.config(name)
    waiting = Job(0, "backup", "waiting", name, "inc", datetime.now(UTC))
    return lose_power(agent, agent.store.jobs.add(waiting, JobRequest(backup_id=config.backup_id)))


def lose_power(agent: Agent, job: Job) -> Job:
    """Have a job begin, and nothing more be written down of it."""
    storage = agent.store.storages.list()[0]
    agent.store.unsettled_jobs.put(Unsettled(job.job_id, ID, storage.storage_id, storage.location))
    return agent.store.jobs.start(job.job_id)


def others(agent: Agent, *known: Job) -> list[Job]:
    ids = {job.job_id for job in known}
    return [job for job in agent.store.jobs.list() if job.job_id not in ids]


class TestAtTheStartOfTheAgent:
    def test_a_job_whose_manifest_is_on_the_storage_has_succeeded_and_all_is_known_of_it(
        self, agent: Agent
    ) -> None:
        job = died_with(agent)
        agent.storage.holds[ID] = FOUND
        agent.start()
        done = agent.ended(job)
        assert (done.job_status, done.error_code, done.description) == ("success", 0, FOUND.description)
        assert (done.backup_type, done.files, done.bytes_read, done.bytes_stored) == ("full", 3, 100, 77)
        assert (done.size_transferred, done.warnings) == (77, 2)
        assert agent.store.chain_keys.all() == (("c9", Secret("chain-key-text")),)
        assert agent.store.high_water.get(agent.store.storages.list()[0].location, "etc") == ID
        assert (others(agent, job), agent.store.unsettled_jobs.all()) == ([], [])

    def test_one_without_a_manifest_is_no_backup_and_runs_again(self, agent: Agent) -> None:
        job = died_with(agent)
        agent.start()
        assert agent.ended(job).description == (
            "[3015] The agent stopped while this job ran; what it left on the storage is no backup"
        )
        (again,) = others(agent, job)
        assert agent.ended(again).job_status == "success"

    def test_one_whose_storage_does_not_answer_says_that_its_backup_may_exist(self, agent: Agent) -> None:
        job = died_with(agent)
        agent.storage.error = HUNG
        agent.start()
        assert agent.ended(job).description == (
            "[3015] The agent stopped while this job ran. The backup may exist: the storage cannot tell"
            " ([4001] storage 'bucket' did not answer within 30 s). It is looked for again before the next"
            " job of 'etc' and when the agent starts"
        )

    @pytest.mark.parametrize("found", [True, False], ids=["found", "not there"])
    def test_the_next_start_asks_again_and_puts_the_row_right(self, agent: Agent, found: bool) -> None:
        job = died_with(agent)
        agent.storage.error = HUNG
        agent.start()
        ended = agent.ended(job)
        (again,) = others(agent, job)
        agent.ended(again)
        agent.supervisor.stop(timeout=0)
        agent.storage.error = None
        if found:
            agent.storage.holds[ID] = FOUND
        before = agent.store.jobs.extent()
        agent.start()
        eventually(lambda: agent.job(job) != ended, "the row is put right")
        assert agent.job(job).job_status == ("success" if found else "failed")
        assert agent.job(job).end_date == ended.end_date
        assert agent.store.jobs.extent().corrections > before.corrections
        if not found:
            assert agent.job(job).description.endswith("ran; what it left on the storage is no backup")
        assert len(agent.store.jobs.list()) == 2

    def test_a_job_of_a_storage_that_was_moved_says_so_and_asks_nobody(self, agent: Agent) -> None:
        job = died_with(agent)
        (storage,) = agent.store.storages.list()
        agent.store.storages.update(replace(storage, bucket_name="elsewhere"))
        agent.start()
        assert "The backup may exist: nobody can be asked, because" in agent.ended(job).description
        assert agent.storage.asked == []

    def test_a_restore_is_over_and_may_be_run_again(self, agent: Agent) -> None:
        waiting = Job(0, "restore", "waiting", "etc", "full", datetime.now(UTC))
        job = agent.store.jobs.add(waiting, JobRequest())
        agent.store.jobs.start(job.job_id)
        agent.start()
        assert agent.ended(job).description == (
            "[3015] The agent stopped while this job ran; the restore can be run again"
        )


def unsettled_of(agent: Agent, job: Job) -> Unsettled:
    (unsettled,) = [each for each in agent.store.unsettled_jobs.all() if each.job_id == job.job_id]
    return unsettled


class TestBeforeTheNextJobOfThatName:
    def test_the_storage_is_asked_and_the_row_made_right(self, agent: Agent) -> None:
        job = died_with(agent)
        agent.storage.error = HUNG
        agent.start()
        agent.ended(job)
        (again,) = others(agent, job)
        assert agent.ended(again).job_status == "success"
        asked = len(agent.storage.asked)
        agent.storage.error, agent.storage.holds[ID] = None, FOUND
        (config,) = agent.store.configs.list()
        following = agent.supervisor.enqueue_backup(config, "inc")
        assert agent.ended(following).job_status == "success"
        assert len(agent.storage.asked) == asked + 1
        assert agent.job(job).job_status == "success"

    def test_the_mark_of_a_later_backup_stays(self, agent: Agent) -> None:
        self.test_the_storage_is_asked_and_the_row_made_right(agent)
        mark = agent.store.high_water.get(agent.store.storages.list()[0].location, "etc")
        assert mark == "after-after-nothing"

    def test_it_waits_for_the_answer_and_other_names_do_not(self, agent: Agent) -> None:
        job = died_with(agent)
        agent.storage.gate.clear()
        supervisor = agent.start()
        following = supervisor.enqueue_backup(agent.store.configs.list()[0], "inc")
        other = supervisor.enqueue_backup(agent.config("other"), "full")
        assert agent.ended(other).job_status == "success"
        assert (agent.job(job).job_status, agent.job(following).job_status) == ("running", "waiting")
        agent.storage.gate.set()
        assert agent.ended(following).job_status == "success"
        # The job that waited serves the run that was lost.
        assert len(agent.store.jobs.list()) == 3

    def test_an_agent_that_stops_waits_for_no_answer(self, agent: Agent) -> None:
        job = died_with(agent)
        agent.storage.gate.clear()
        agent.start()
        eventually(lambda: agent.storage.asked, "the storage is asked")
        agent.supervisor.stop(timeout=0)
        assert "The backup may exist: the agent stops" in agent.job(job).description
        assert [each.job_id for each in agent.store.unsettled_jobs.all()] == [job.job_id]
        agent.storage.gate.set()


class TestWhileTheAgentLives:
    def test_a_worker_killed_after_its_manifest_has_made_a_backup(self, agent: Agent) -> None:
        job = agent.start().enqueue_backup(agent.config("vanishes"), "full")
        noted = agent.settings.state_dir / "vanishes"
        eventually(noted.exists, "the worker commits")
        assert noted.read_text() == unsettled_of(agent, job).backup
        agent.storage.holds[noted.read_text()] = FOUND
        (agent.settings.state_dir / "go").touch()
        assert agent.ended(job).job_status == "success"

    def test_one_killed_before_its_manifest_tells_how_it_ended_and_what_that_means(
        self, agent: Agent
    ) -> None:
        (agent.settings.state_dir / "go").touch()
        job = agent.start().enqueue_backup(agent.config("vanishes"), "full")
        assert agent.ended(job).description == (
            "[3015] the worker process was ended by SIGKILL (the system may have run out of memory)"
            " before the job was done; what it left on the storage is no backup"
        )
        assert others(agent, job) == []

    def test_a_manifest_that_arrives_after_the_answer_is_found_by_the_next_look(self, agent: Agent) -> None:
        (agent.settings.state_dir / "go").touch()
        job = agent.start().enqueue_backup(agent.config("vanishes"), "full")
        assert agent.ended(job).description.endswith("; what it left on the storage is no backup")
        agent.supervisor.stop(timeout=0)
        agent.storage.holds[unsettled_of(agent, job).backup] = FOUND
        agent.start()
        eventually(lambda: agent.job(job).job_status == "success", "the row is put right")
        assert agent.job(job).description == FOUND.description
        assert agent.store.unsettled_jobs.all() == []

    def test_one_more_look_is_the_last_and_says_the_same(self, agent: Agent) -> None:
        (agent.settings.state_dir / "go").touch()
        job = agent.start().enqueue_backup(agent.config("vanishes"), "full")
        told = agent.ended(job).description
        for looks in (2, 2):
            agent.supervisor.stop(timeout=0)
            agent.start()
            eventually(lambda: not agent.store.unsettled_jobs.all(), "the outcome is certain")
            assert (agent.job(job).description, len(agent.storage.asked)) == (told, looks)

    def test_an_error_while_the_manifest_is_written_does_not_decide(self, agent: Agent) -> None:
        job = agent.start().enqueue_backup(agent.config("stumbles_late"), "full")
        assert agent.ended(job).description == (
            "[4005] the storage does not answer; what it left on the storage is no backup"
        )
        agent.storage.error = HUNG
        other = agent.supervisor.enqueue_backup(agent.store.configs.list()[0], "full")
        assert "[4005] the storage does not answer. The backup may exist:" in agent.ended(other).description

    def test_nobody_is_asked_about_a_worker_that_had_not_come_so_far(self, agent: Agent) -> None:
        agent.ended(agent.start().enqueue_backup(agent.config("crashes"), "full"))
        assert (agent.storage.asked, agent.store.unsettled_jobs.all()) == ([], [])


class TestRunsThatWereLost:
    """A run is tried three times in all, whatever ended the others."""

    @pytest.mark.parametrize(
        "ends", [("dies", "dies", "dies"), ("stops", "dies", "stops"), ("dies", "stops", "dies")]
    )
    def test_three_attempts_and_no_fourth(self, agent: Agent, ends: tuple[str, ...]) -> None:
        config = agent.config("sleeps")
        request = "schedule:1:inc:2026-01-01T00:00:00+00:00:sleeps"
        waiting = Job(0, "backup", "waiting", "sleeps", "inc", datetime.now(UTC), request_id=request)
        agent.store.jobs.add(waiting, JobRequest(backup_id=config.backup_id))
        for end in ends:
            job = agent.store.jobs.list()[-1]
            if end == "stops":
                agent.start()
                agent.running(job)
                agent.supervisor.stop(timeout=0)
            else:
                lose_power(agent, job)
                agent.start(drained=True)
                eventually(lambda: agent.supervisor.drained, "what was lost is settled")
        jobs = agent.store.jobs.list()
        assert [job.job_status for job in jobs] == ["failed"] * 3
        assert [job.request_id for job in jobs] == [request, "requeue:1:2", "requeue:2:3"]

    def test_a_request_id_that_somebody_took_costs_that_run_and_no_other(self, agent: Agent) -> None:
        job = died_with(agent)
        other = agent.config("other")
        taken = Job(0, "backup", "waiting", "other", "full", datetime.now(UTC), request_id="requeue:1:2")
        agent.store.jobs.add(taken, JobRequest(backup_id=other.backup_id))
        supervisor = agent.start()
        assert agent.ended(job).description.endswith("; what it left on the storage is no backup")
        assert agent.ended(supervisor.enqueue_backup(other, "inc")).job_status == "success"
        assert [each.backup_name for each in others(agent, job)] == ["other", "other"]

    def test_a_run_that_was_cancelled_while_its_storage_was_asked_is_not_tried_again(
        self, agent: Agent, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        job = died_with(agent)
        agent.storage.gate.clear()
        supervisor = agent.start()
        eventually(lambda: agent.storage.asked, "the storage is asked")
        supervisor.cancel(job.job_id, "somebody")
        eventually(lambda: "is not tried again: cancelled by somebody" in caplog.text, "it is heard")
        agent.storage.gate.set()
        assert agent.ended(job).job_status == "failed"
        assert others(agent, job) == []

    def test_a_run_whose_configuration_is_gone_is_not_tried_again(self, agent: Agent) -> None:
        job = died_with(agent)
        agent.store.configs.delete(agent.store.configs.list()[0].backup_id)
        agent.start()
        agent.ended(job)
        assert others(agent, job) == []
