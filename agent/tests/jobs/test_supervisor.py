# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The queue with real worker processes: how jobs start, end and fail."""

from __future__ import annotations

import logging
import os
import signal
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from supervised_agent import Agent, eventually

from papi_backup.jobs.worker_process import WorkerProcess
from papi_backup.model.job import RestoreOptions, RestoreOrder
from papi_backup.model.secret import Secret
from papi_backup.model.storage import StorageAccess


def is_gone(pid: int) -> bool:
    """Whether no such process runs; a zombie that its reaper has not met yet counts as gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def noted_pids(agent: Agent, name: str) -> list[int]:
    path = agent.settings.state_dir / name
    eventually(path.exists, f"the worker notes {name}")
    return [int(text) for text in path.read_text().split()]


def test_a_backup_job_succeeds_and_its_figures_chain_key_and_high_water_are_kept(agent: Agent) -> None:
    config = agent.config("etc")
    job = agent.start().enqueue_backup(config, "inc")
    done = agent.ended(job)
    assert (done.job_status, done.error_code, done.size_transferred) == ("success", 0, 1234)
    assert (done.files, done.bytes_read, done.bytes_stored, done.warnings) == (3, 99, 77, 1)
    assert done.description == "the previous backup is gone, so this one is full"
    assert agent.store.chain_keys.all() == (("c1", Secret("chain-key-text")),)
    location = agent.store.storages.list()[0].location
    assert agent.store.high_water.get(location, "etc") == "after-nothing"


def test_an_incremental_that_became_a_full_is_reported_as_full(agent: Agent) -> None:
    job = agent.start().enqueue_backup(agent.config("etc"), "inc")
    assert job.backup_type == "inc"
    assert agent.ended(job).backup_type == "full"


def test_the_next_backup_gets_the_high_water_of_the_last(agent: Agent) -> None:
    config = agent.config("etc")
    supervisor = agent.start()
    agent.ended(supervisor.enqueue_backup(config, "full"))
    agent.ended(supervisor.enqueue_backup(config, "inc"))
    location = agent.store.storages.list()[0].location
    assert agent.store.high_water.get(location, "etc") == "after-after-nothing"


def test_a_restore_job_runs_with_this_hosts_name_when_none_is_given(agent: Agent) -> None:
    storage = agent.store.storages.list()[0]
    options = RestoreOptions(storage.storage_id, "etc", datetime.now(UTC), "", Secret("open sesame"))
    done = agent.ended(agent.start().enqueue_restore(options))
    assert (done.job_type, done.job_status) == ("restore", "success")
    assert done.description == "restored etc of host.example"


def test_a_restore_that_met_a_newer_backup_of_this_agent_raises_the_high_water(agent: Agent) -> None:
    storage = agent.store.storages.list()[0]
    agent.store.high_water.put(storage.location, "raises", "the mark")
    options = RestoreOptions(storage.storage_id, "raises", datetime.now(UTC), "", Secret("open sesame"))
    assert agent.ended(agent.start().enqueue_restore(options)).job_status == "success"
    assert agent.store.high_water.get(storage.location, "raises") == "after-the mark"


FAILURES = [
    ("refuses", 4002, "[4002] key ******** does not open chain c1"),
    ("mistakes", 3015, "[3015] ZeroDivisionError: with the key ******** in the text"),
    (
        "exits",
        3015,
        "[3015] the worker process ended with exit status 7 before the job was done; see the log",
    ),
    (
        "crashes",
        3015,
        "[3015] the worker process was ended by SIGKILL (the system may have run out of memory)"
        " before the job was done",
    ),
    ("babbles", 3015, "[3015] the worker process sent an unreadable message (JSONDecodeError)"),
]


@pytest.mark.parametrize(("act", "code", "description"), FAILURES, ids=[row[0] for row in FAILURES])
def test_a_job_that_fails_says_why_without_secrets_and_the_next_one_runs(
    agent: Agent, act: str, code: int, description: str
) -> None:
    supervisor = agent.start()
    failed = agent.ended(supervisor.enqueue_backup(agent.config(act, key="the-backup-key"), "full"))
    assert (failed.job_status, failed.error_code, failed.description) == ("failed", code, description)
    assert agent.ended(supervisor.enqueue_backup(agent.config("etc"), "full")).job_status == "success"


def test_the_log_of_a_failed_worker_tells_the_mistake_but_not_the_key(
    agent: Agent, capfd: pytest.CaptureFixture[str]
) -> None:
    agent.ended(agent.start().enqueue_backup(agent.config("mistakes", key="the-backup-key"), "full"))
    log = capfd.readouterr().err
    assert "Traceback" in log
    assert "ZeroDivisionError" in log
    assert "the-backup-key" not in log


def test_the_order_and_its_secrets_are_not_on_the_workers_command_line(agent: Agent) -> None:
    job = agent.start().enqueue_backup(agent.config("sleeps", key="the-backup-key"), "full")
    agent.running(job)
    worker = noted_pids(agent, "sleeps")[0]
    seen = Path(f"/proc/{worker}/cmdline").read_bytes() + Path(f"/proc/{worker}/environ").read_bytes()
    assert b"the-backup-key" not in seen
    assert b"s3-secret-text" not in seen


def test_the_helpers_of_a_killed_worker_do_not_outlive_it(agent: Agent) -> None:
    agent.ended(agent.start().enqueue_backup(agent.config("crashes"), "full"))
    (helper,) = noted_pids(agent, "helper")
    eventually(lambda: is_gone(helper), "the helper is gone")


def test_a_helper_left_behind_does_not_hold_up_the_end_of_its_job(agent: Agent) -> None:
    done = agent.ended(agent.start().enqueue_backup(agent.config("lingers"), "full"))
    assert done.job_status == "success"


def test_a_worker_runs_at_low_priority(agent: Agent) -> None:
    agent.ended(agent.start().enqueue_backup(agent.config("etc"), "full"))
    assert int((agent.settings.state_dir / "nice").read_text()) == os.nice(0) + agent.settings.nice


def test_progress_is_told_while_a_job_runs_and_only_then(agent: Agent) -> None:
    supervisor = agent.start()
    job = supervisor.enqueue_backup(agent.config("waits"), "full")
    eventually(
        lambda: (progress := supervisor.progress(job.job_id)) and progress.files_total == 7, "progress"
    )
    assert [running.job_id for running in supervisor.running_jobs()] == [job.job_id]
    (agent.settings.state_dir / "go").touch()
    agent.ended(job)
    eventually(lambda: supervisor.progress(job.job_id) is None, "no more progress")


def test_jobs_run_one_at_a_time_in_the_order_they_came(agent: Agent) -> None:
    supervisor = agent.start()
    first = supervisor.enqueue_backup(agent.config("waits"), "full")
    second = supervisor.enqueue_backup(agent.config("etc"), "full")
    agent.running(first)
    assert agent.job(second).job_status == "waiting"
    (agent.settings.state_dir / "go").touch()
    agent.ended(second)
    assert agent.job(first).job_status == "success"


def test_two_backups_run_in_parallel_but_one_backup_never_twice(agent: Agent) -> None:
    supervisor = agent.start(parallel=2)
    slow = agent.config("waits")
    first = supervisor.enqueue_backup(slow, "full")
    again = supervisor.enqueue_backup(slow, "inc")
    other = supervisor.enqueue_backup(agent.config("etc"), "full")
    assert agent.ended(other).job_status == "success"
    assert (agent.job(first).job_status, agent.job(again).job_status) == ("running", "waiting")
    (agent.settings.state_dir / "go").touch()
    assert agent.ended(again).job_status == "success"


def test_a_restore_waits_for_the_backup_of_its_name_and_other_backups_do_not_wait_for_it(
    agent: Agent,
) -> None:
    supervisor = agent.start(parallel=2)
    backup = supervisor.enqueue_backup(agent.config("waits"), "full")
    storage = agent.store.storages.list()[0]
    restore = supervisor.enqueue_restore(
        RestoreOptions(storage.storage_id, "waits", datetime.now(UTC), "", Secret("open sesame"))
    )
    other = supervisor.enqueue_backup(agent.config("etc"), "full")
    assert agent.ended(other).job_status == "success"
    assert (agent.job(backup).job_status, agent.job(restore).job_status) == ("running", "waiting")
    (agent.settings.state_dir / "go").touch()
    assert agent.ended(restore).job_status == "success"


def test_the_same_request_id_names_the_same_job(agent: Agent) -> None:
    config = agent.config("etc")
    supervisor = agent.start()
    first = supervisor.enqueue_backup(config, "full", request_id="r1")
    agent.ended(first)
    assert supervisor.enqueue_backup(config, "full", request_id="r1").job_id == first.job_id
    assert supervisor.enqueue_backup(config, "full", request_id="r2").job_id != first.job_id


def test_a_job_whose_configuration_was_deleted_while_it_waited_fails_and_says_so(agent: Agent) -> None:
    supervisor = agent.start()
    blocker = supervisor.enqueue_backup(agent.config("waits"), "full")
    config = agent.config("etc")
    job = supervisor.enqueue_backup(config, "full")
    agent.running(blocker)
    agent.store.configs.delete(config.backup_id)
    (agent.settings.state_dir / "go").touch()
    failed = agent.ended(job)
    assert failed.error_code == 3007
    assert failed.description == ("[3007] the backup configuration 'etc' was deleted before this job started")


def test_a_job_that_waited_when_the_agent_stopped_runs_when_it_starts_again(agent: Agent) -> None:
    agent.start().drain()
    eventually(lambda: agent.supervisor.drained, "drained")
    job = agent.supervisor.enqueue_backup(agent.config("etc"), "full")
    assert agent.job(job).job_status == "waiting"
    agent.start()
    assert agent.ended(job).job_status == "success"


def test_a_job_that_ran_when_the_agent_died_is_failed_after_the_restart(agent: Agent) -> None:
    supervisor = agent.start()
    supervisor.stop(timeout=0)
    job = supervisor.enqueue_backup(agent.config("etc"), "full")
    agent.store.jobs.start(job.job_id)
    agent.start()
    failed = agent.ended(job)
    assert failed.job_status == "failed"
    # Nothing tells which backup it would have written: an agent of before kept no such record.
    assert failed.description == (
        "[3015] The agent stopped while this job ran. Its backup may exist: the list of backups tells"
    )


def test_stopping_waits_for_a_job_that_ends_in_time(agent: Agent) -> None:
    supervisor = agent.start()
    job = supervisor.enqueue_backup(agent.config("waits"), "full")
    agent.running(job)
    (agent.settings.state_dir / "go").touch()
    supervisor.stop(timeout=10)
    assert agent.job(job).job_status == "success"


def test_stopping_ends_a_job_that_takes_too_long_with_its_helpers_and_says_so(agent: Agent) -> None:
    supervisor = agent.start()
    job = supervisor.enqueue_backup(agent.config("sleeps"), "full")
    agent.running(job)
    pids = noted_pids(agent, "sleeps")
    supervisor.stop(timeout=0.1)
    failed = agent.job(job)
    assert failed.job_status == "failed"
    assert failed.description == (
        "[3015] the agent was stopped while this job ran; what it left on the storage is no backup"
    )
    for pid in pids:
        eventually(lambda pid=pid: is_gone(pid), f"process {pid} is gone")


def test_a_job_that_stops_ended_runs_again_as_a_job_of_its_own_three_times_in_all(
    agent: Agent,
) -> None:
    first = agent.start().enqueue_backup(agent.config("sleeps"), "full")
    noted_pids(agent, "sleeps")
    agent.supervisor.stop(timeout=0)
    (second,) = [job for job in agent.store.jobs.list() if job.job_id != first.job_id]
    assert (agent.job(first).job_status, second.job_status) == ("failed", "waiting")
    assert (second.backup_name, second.backup_type, second.backup_id) == ("sleeps", "full", first.backup_id)
    for _attempt in range(2):
        agent.start()
        agent.running(agent.store.jobs.list()[-1])
        agent.supervisor.stop(timeout=0)
    assert [job.job_status for job in agent.store.jobs.list()] == ["failed"] * 3


def test_a_job_that_runs_again_does_so_under_the_name_that_its_configuration_has_now(agent: Agent) -> None:
    config = agent.config("sleeps")
    agent.start().enqueue_backup(config, "full")
    noted_pids(agent, "sleeps")
    agent.store.configs.update(replace(config, backup_name="renamed"))
    agent.supervisor.stop(timeout=0)
    assert [job.backup_name for job in agent.store.jobs.list()] == ["sleeps", "renamed"]


def test_a_restore_that_a_stop_ended_runs_once_more_with_its_key(agent: Agent) -> None:
    storage = agent.store.storages.list()[0]
    options = RestoreOptions(storage.storage_id, "sleeps", datetime.now(UTC), "", Secret("open sesame"))
    agent.start().enqueue_restore(options)
    noted_pids(agent, "sleeps")
    agent.supervisor.stop(timeout=0)
    waiting = agent.store.jobs.next_waiting(())
    assert waiting is not None
    assert waiting[1].restore == options


def test_a_job_that_failed_by_itself_does_not_run_again(agent: Agent) -> None:
    agent.ended(agent.start().enqueue_backup(agent.config("refuses"), "full"))
    agent.supervisor.stop(timeout=0)
    assert len(agent.store.jobs.list()) == 1


def test_a_job_that_is_stopped_takes_back_what_it_did_and_so_do_its_helpers(agent: Agent) -> None:
    supervisor = agent.start()
    job = supervisor.enqueue_backup(agent.config("tidies"), "full")
    eventually((agent.settings.state_dir / "tidies").exists, "the helper works")
    supervisor.stop(timeout=0)
    assert agent.job(job).description.startswith("[3015] the agent was stopped while this job ran;")
    assert (agent.settings.state_dir / "helper-tidied").read_text() == "done"
    assert (agent.settings.state_dir / "tidied").read_text() == "the helper ended with 143"


def test_a_worker_that_somebody_else_terminates_fails_its_job_by_that_name(agent: Agent) -> None:
    job = agent.start().enqueue_backup(agent.config("tidies"), "full")
    eventually((agent.settings.state_dir / "tidies").exists, "the helper works")
    children = Path(f"/proc/{os.getpid()}/task")
    workers = {int(pid) for task in children.iterdir() for pid in (task / "children").read_text().split()}
    (worker,) = [pid for pid in workers if b"scripted_worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(worker, signal.SIGTERM)
    assert agent.ended(job).description == (
        "[3015] the worker process was ended by SIGTERM before the job was done"
    )


def test_a_worker_that_cannot_be_started_leaves_no_descriptor_open(agent: Agent) -> None:
    settings = agent.settings
    order = RestoreOrder(
        "host.example",
        StorageAccess(agent.store.storages.list()[0]),
        RestoreOptions(1, "etc", datetime.now(UTC), "host.example", Secret("open sesame")),
        (str(settings.state_dir),),
    )
    before = len(os.listdir("/proc/self/fd"))
    for command in (("/nonexistent",), ("/",)):
        with pytest.raises(OSError, match=r"No such file|denied"):
            WorkerProcess(order, command)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_state_that_cannot_be_written_for_a_while_loses_no_outcome(
    agent: Agent, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    supervisor = agent.start()
    job = supervisor.enqueue_backup(agent.config("waits"), "full")
    agent.running(job)
    agent.break_state()
    (agent.settings.state_dir / "go").touch()
    eventually(lambda: not supervisor.running_jobs(), "the worker is gone")
    agent.mend_state()
    assert agent.ended(job).job_status == "success"


def test_the_heart_of_the_supervisor_beats(agent: Agent) -> None:
    supervisor = agent.start()
    job = supervisor.enqueue_backup(agent.config("waits"), "full")
    agent.running(job)
    eventually(lambda: supervisor.heartbeat.age < 1.0, "a beat")
    assert supervisor.heartbeat.alive
    supervisor.stop(timeout=0)
