# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent as a process: start, stop, what it tells systemd, and what it must not import."""

from __future__ import annotations

import configparser
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from agent_process import AgentProcess, ServiceManager, eventually, is_gone

from papi_backup.config import Settings
from papi_backup.model.job import Job
from papi_backup.model.schedule import BackupConfig
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage
from papi_backup.state.jobs import JobRequest
from papi_backup.state.store import Store

OFTEN = {"WATCHDOG_USEC": "600000"}
"""A short watchdog makes the agent look after itself, and tell its status, often."""

PROMISED = 5.0
"""Seconds for a test of a storage or of a configuration."""

UNIT = Path(__file__).parents[3] / "roles/backup_agent/templates/papi-backup-agent.service.j2"


@pytest.fixture
def silent_server() -> Iterator[int]:
    """The port of a server that takes connections and never says a word."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=64)) as server:
        yield server.getsockname()[1]


def queue_backup(state: Path, port: int) -> int:
    """Leave a waiting backup to a storage that hangs, as if from an earlier life of the agent."""
    with Store.open(state) as store:
        storage = S3Storage("hangs", "id", Secret("secret-s3-text"), "b", 32, f"http://127.0.0.1:{port}")
        config = BackupConfig("etc", store.storages.add(storage).storage_id, Secret("secret-key-text"))
        added = store.configs.add(config)
        job = Job(0, "backup", "waiting", "etc", "full", datetime.now(UTC))
        return store.jobs.add(job, JobRequest(added.backup_id)).job_id


def job_in(state: Path, job_id: int) -> Job:
    with Store.open(state) as store:
        return store.jobs.get(job_id)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_tells_systemd_when_it_is_ready_and_when_it_stops_and_ends_with_0(
    daemon: AgentProcess, number: signal.Signals
) -> None:
    daemon.start_and_wait()
    daemon.manager.hears("STATUS=idle; nothing is scheduled")
    assert daemon.stop(number) == 0
    daemon.manager.hears("STOPPING=1")


def start_with_own_interpreter(daemon: AgentProcess, directory: Path) -> Path:
    """Start the agent by a name of its own for this Python, and return that."""
    own = directory / "python"
    own.symlink_to(os.path.realpath(sys.executable))
    modules = {"PYTHONPATH": os.pathsep.join(sys.path[1:])}
    daemon.start(environment=OFTEN | modules, interpreter=str(own))
    daemon.manager.hears("READY=1")
    return own


@pytest.mark.parametrize("upgraded_to", ["another Python", "nothing"])
def test_it_ends_with_1_when_the_systems_python_is_upgraded(
    daemon: AgentProcess, tmp_path: Path, upgraded_to: str
) -> None:
    own = start_with_own_interpreter(daemon, tmp_path)
    eventually(lambda: daemon.manager.heard.count("WATCHDOG=1") >= 4, "it goes on as long as nothing changes")
    own.unlink()
    if upgraded_to != "nothing":
        own.symlink_to("/bin/true")
    assert daemon.ends() == 1
    daemon.manager.hears("STOPPING=1")
    assert "the Python that this agent runs on has changed or is gone" in daemon.log.read_text()


def test_a_stop_that_comes_while_it_ends_for_another_python_is_a_stop_like_any(
    daemon: AgentProcess, tmp_path: Path, silent_server: int
) -> None:
    daemon.configure(jobs="drain_timeout = 60")
    queue_backup(daemon.state, silent_server)
    own = start_with_own_interpreter(daemon, tmp_path)
    daemon.manager.hears("STATUS=running: job")
    own.unlink()
    daemon.manager.hears("STOPPING=1")
    os.kill(daemon.pid, signal.SIGTERM)
    eventually(lambda: "told to stop meanwhile" in daemon.log.read_text(), "it heard that")
    assert daemon.stop() == 0
    assert "told to stop again" in daemon.log.read_text()


def test_it_feeds_the_watchdog_as_often_as_systemd_wants(daemon: AgentProcess) -> None:
    daemon.start_and_wait(OFTEN)
    eventually(lambda: daemon.manager.heard.count("WATCHDOG=1") >= 4, "the watchdog is fed")


def test_a_service_manager_that_does_not_listen_does_not_keep_it_from_stopping(
    daemon: AgentProcess, tmp_path: Path
) -> None:
    deaf = ServiceManager(tmp_path / "deaf", deaf=True)
    daemon.start(environment=OFTEN | {"NOTIFY_SOCKET": str(deaf.path)})
    eventually(lambda: "is ready" in daemon.log.read_text(), "the agent is ready")
    time.sleep(3)
    assert daemon.stop() == 0
    deaf.close()


def test_it_leaves_the_watchdog_of_another_process_alone(daemon: AgentProcess) -> None:
    daemon.start_and_wait(OFTEN | {"WATCHDOG_PID": "1"})
    daemon.manager.hears("STATUS=")
    daemon.stop()
    assert "WATCHDOG=1" not in daemon.manager.heard


BAD_CONFIGURATIONS = [
    ("no file", None, "cannot read"),
    ("no TOML", "state_dir = ", "is not TOML"),
    ("a missing key", "[api]\n", "state_dir"),
    ("an unknown key", 'state_dir = "/s"\nstate_dri = "/s"\n[api]\nsocket = "/s/a"\n', "state_dri"),
]


@pytest.mark.parametrize(
    ("text", "words"), [row[1:] for row in BAD_CONFIGURATIONS], ids=[row[0] for row in BAD_CONFIGURATIONS]
)
def test_a_bad_configuration_is_one_line_and_status_2(
    daemon: AgentProcess, text: str | None, words: str
) -> None:
    if text is None:
        daemon.config.unlink()
    else:
        daemon.configure(text)
    daemon.start()
    assert daemon.ends() == 2
    (line,) = daemon.log.read_text().splitlines()
    assert line.startswith("papi-backup-agent: ")
    assert words in line
    assert str(daemon.config) in line


def test_a_second_agent_on_one_state_is_refused(daemon: AgentProcess) -> None:
    daemon.start_and_wait()
    command = [sys.executable, "-m", "papi_backup.daemon", "--config", str(daemon.config)]
    second = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False, timeout=30)
    assert second.returncode == 1
    assert second.stderr.splitlines() == [
        f"papi-backup-agent: another agent runs on the state in {daemon.state}"
    ]
    assert daemon.stop() == 0


def test_a_state_that_is_gone_while_its_key_is_there_is_said_in_log_status_and_version(
    daemon: AgentProcess,
) -> None:
    with Store.open(daemon.state):
        pass
    for path in daemon.state.glob("state.db*"):
        path.unlink()
    daemon.start_and_wait()
    daemon.manager.hears("STATUS=the state is new and empty, though its key was there")
    assert "WARNING papi_backup.agent: the state is new and empty, though its key was there" in (
        daemon.log.read_text()
    )
    assert daemon.stop() == 0


def test_a_damaged_state_is_one_line_and_status_1(daemon: AgentProcess) -> None:
    with Store.open(daemon.state):
        pass
    (daemon.state / "state.db").write_bytes(b"garbage")
    daemon.start()
    assert daemon.ends() == 1
    (line,) = daemon.log.read_text().splitlines()
    assert "state.db" in line


def test_the_agent_imports_neither_the_engine_nor_what_talks_to_storages(daemon: AgentProcess) -> None:
    daemon.start(interpreter_options=("-X", "importtime"))
    daemon.manager.hears("READY=1")
    assert daemon.stop() == 0
    imported = {line.rpartition("|")[2].strip() for line in daemon.log.read_text().splitlines()}
    assert "papi_backup.jobs.supervisor" in imported
    for name in ("boto3", "botocore", "paramiko", "zstandard", "papi_backup.engine"):
        assert name not in imported


def test_once_it_is_ready_it_answers(daemon: AgentProcess) -> None:
    daemon.start_and_wait()
    assert daemon.ask("/papi/backup/ping") == {"success": 1, "data": "pong"}
    assert daemon.ask("/papi/backup/job/list") == {"success": 1, "data": []}


def test_an_agent_that_stopped_leaves_no_socket_and_starts_again_on_its_place(daemon: AgentProcess) -> None:
    daemon.start_and_wait()
    assert daemon.stop() == 0
    assert not (daemon.directory / "agent.sock").exists()
    daemon.start_and_wait()
    assert daemon.ask("/papi/backup/ping") == {"success": 1, "data": "pong"}


def test_a_backup_asked_for_over_the_api_runs_and_a_storage_that_hangs_is_told_within_5_seconds(
    daemon: AgentProcess, silent_server: int
) -> None:
    queue_backup(daemon.state, silent_server)
    daemon.start_and_wait(OFTEN)
    daemon.manager.hears("STATUS=running: job")
    for path, named in (
        ("storage/test", {"storage_name": "hangs"}),
        ("backup-config/test", {"backup_id": "1"}),
    ):
        started = time.monotonic()
        answer = daemon.ask(f"/papi/backup/{path}", **named)
        assert time.monotonic() - started < PROMISED
        assert (answer["success"], answer["error_code"]) == (0, 4001)
        assert answer["error"].startswith("reach: "), answer
    queued = daemon.ask("/papi/backup/backup/run", "POST", backup_name="etc", backup_type="full")
    assert queued["job_id"] == 2
    os.kill(daemon.pid, signal.SIGTERM)
    assert daemon.ends() == 0
    assert job_in(daemon.state, 2).job_status == "waiting"


def test_a_port_that_is_taken_is_one_line_and_status_1_and_no_job_has_begun(
    daemon: AgentProcess, silent_server: int
) -> None:
    job_id = queue_backup(daemon.state, silent_server)
    daemon.configure(
        f'state_dir = "{daemon.state}"\nhost_name = "h"\n[api]\nlisten = "127.0.0.1:{silent_server}"\n'
    )
    daemon.start()
    assert daemon.ends() == 1
    (line,) = daemon.log.read_text().splitlines()
    assert str(silent_server) in line
    assert job_in(daemon.state, job_id).job_status == "waiting"


def test_a_worker_does_not_outlive_an_agent_that_is_killed(daemon: AgentProcess, silent_server: int) -> None:
    job_id = queue_backup(daemon.state, silent_server)
    daemon.start_and_wait(OFTEN)
    daemon.manager.hears("STATUS=running: job")
    workers = daemon.children()
    assert workers
    daemon.stop(signal.SIGKILL)
    for worker in workers:
        eventually(lambda worker=worker: is_gone(worker), "the worker is gone")
    daemon.start_and_wait()
    # Its storage is asked meanwhile, and does not answer.
    assert job_in(daemon.state, job_id).job_status == "running"
    assert daemon.stop() == 0
    failed = job_in(daemon.state, job_id)
    assert failed.job_status == "failed"
    told = "[3015] The agent stopped while this job ran. The backup may exist: "
    assert failed.description.startswith(told)


def test_stopping_waits_for_the_drain_timeout_then_ends_the_job_and_says_why(
    daemon: AgentProcess, silent_server: int
) -> None:
    job_id = queue_backup(daemon.state, silent_server)
    daemon.start_and_wait(OFTEN)
    daemon.manager.hears("STATUS=running: job")
    assert daemon.stop() == 0
    daemon.manager.hears("EXTEND_TIMEOUT_USEC=")
    failed = job_in(daemon.state, job_id)
    assert failed.description.startswith("[3015] the agent was stopped while this job ran")
    assert "secret-" not in daemon.log.read_text()


def test_a_second_signal_ends_the_patience(daemon: AgentProcess, silent_server: int) -> None:
    daemon.configure(jobs="drain_timeout = 3600")
    queue_backup(daemon.state, silent_server)
    daemon.start_and_wait(OFTEN)
    daemon.manager.hears("STATUS=running: job")
    os.kill(daemon.pid, signal.SIGTERM)
    daemon.manager.hears("EXTEND_TIMEOUT_USEC=")
    assert daemon.stop() == 0


def test_the_unit_file_agrees_with_the_program() -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.read(UNIT)
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert service["ExecStart"].split()[-1] == str(Settings(Path("/s"), "h").file)
    # What a stop takes with the defaults: the drain, then ending the workers.
    assert int(service["TimeoutStopSec"]) >= Settings(Path("/s"), "h").drain_timeout + 15
    assert service["KillMode"] == "mixed"
    assert service["OOMPolicy"] == "continue"
    assert service["RestartPreventExitStatus"] == "2"
