# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores in a unit of their own: a socket that starts a process for each connection, as systemd does."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from supervised_agent import Agent, eventually

from papi_backup.jobs.orders import dump_order
from papi_backup.model.job import BackupOrder, Job, RestoreOptions
from papi_backup.model.schedule import SourceSet
from papi_backup.model.secret import Secret
from papi_backup.model.storage import StorageAccess

SESSION = (sys.executable, str(Path(__file__).with_name("scripted_session.py")))


@dataclass
class RestoreUnits:
    """The socket unit: starts a session for each connection, with the connection at standard input."""

    path: Path
    sessions: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:
                return
            with connection:
                self.sessions.append(subprocess.Popen(SESSION, stdin=connection, stdout=2))

    def ended(self, number: int = 0) -> int:
        eventually(lambda: len(self.sessions) > number, "a session was started")
        return self.sessions[number].wait(timeout=30)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for session in self.sessions:
            session.kill()
            session.wait()
            end_all_below(session.pid)


def end_all_below(session: int) -> None:
    """End a session's worker and its helpers, as systemd ends what is left of a unit."""
    mark = b"\0--parent\0%d" % session
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cmdline").read_bytes().rstrip(b"\0").endswith(mark):
                os.kill(int(process.name), signal.SIGKILL)


@pytest.fixture
def units(tmp_path: Path) -> Iterator[RestoreUnits]:
    with closing(RestoreUnits(tmp_path / "restore.sock")) as units:
        yield units


@pytest.fixture
def split_agent(agent: Agent, units: RestoreUnits) -> Agent:
    agent.settings = replace(agent.settings, restore_socket=units.path)
    return agent


def restore(agent: Agent, name: str) -> Job:
    storage = agent.store.storages.list()[0]
    options = RestoreOptions(storage.storage_id, name, datetime.now(UTC), "", Secret("open sesame"))
    return agent.supervisor.enqueue_restore(options)


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_restore_runs_in_the_unit_and_its_outcome_comes_back(
    split_agent: Agent, units: RestoreUnits
) -> None:
    split_agent.start()
    done = split_agent.ended(restore(split_agent, "etc"))
    assert (done.job_status, done.description) == ("success", "restored etc of host.example")
    assert units.ended() == 0


def test_a_backup_is_still_run_by_the_agent_itself(split_agent: Agent, units: RestoreUnits) -> None:
    job = split_agent.start().enqueue_backup(split_agent.config("etc"), "full")
    assert split_agent.ended(job).job_status == "success"
    assert units.sessions == []


def test_progress_of_a_restore_in_the_unit_is_told(split_agent: Agent) -> None:
    split_agent.start()
    job = restore(split_agent, "sleeps")
    eventually(
        lambda: (seen := split_agent.supervisor.progress(job.job_id)) and seen.bytes_done == 5, "progress"
    )


def test_the_orders_secrets_are_on_no_command_line(split_agent: Agent, units: RestoreUnits) -> None:
    split_agent.start()
    restore(split_agent, "sleeps")
    noted = split_agent.settings.state_dir / "sleeps"
    eventually(noted.exists, "the worker runs")
    for pid in (units.sessions[0].pid, int(noted.read_text().split()[0])):
        assert b"sesame" not in Path(f"/proc/{pid}/cmdline").read_bytes()
        assert b"sesame" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_an_agent_that_stops_ends_the_worker_and_its_helpers(split_agent: Agent, units: RestoreUnits) -> None:
    split_agent.start()
    job = restore(split_agent, "sleeps")
    noted = split_agent.settings.state_dir / "sleeps"
    eventually(noted.exists, "the worker runs")
    split_agent.supervisor.stop(timeout=0)
    assert split_agent.job(job).description.startswith("[3015] the agent was stopped while this job ran")
    units.ended()
    for pid in map(int, noted.read_text().split()):
        eventually(lambda pid=pid: is_gone(pid), f"process {pid} is gone")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("exits", "[3015] the worker process ended with exit status 7 before the job was done; see the log"),
        ("killed", "[3015] the worker process ended with exit status 1 before the job was done; see the log"),
    ],
)
def test_a_worker_or_unit_that_dies_fails_the_job_and_says_so(
    split_agent: Agent, units: RestoreUnits, name: str, message: str
) -> None:
    split_agent.start()
    job = restore(split_agent, "sleeps" if name == "killed" else name)
    if name == "killed":
        split_agent.running(job)
        eventually((split_agent.settings.state_dir / "sleeps").exists, "the worker runs")
        units.sessions[0].kill()
    assert split_agent.ended(job).description == message


def test_a_unit_that_is_not_there_fails_the_job_with_what_to_look_at(agent: Agent, tmp_path: Path) -> None:
    agent.settings = replace(agent.settings, restore_socket=tmp_path / "nobody.sock")
    agent.start()
    failed = agent.ended(restore(agent, "etc"))
    assert failed.error_code == 3015
    assert "is papi-backup-restore.socket started?" in failed.description


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"{}\n",
        b"no json\nat all\n",
        b'{"nice": 0, "ionice": "none"}\n{}\n',
        b'{"nice": 0, "ionice": "none"}\n[]\n',
    ],
)
def test_a_connection_without_an_order_for_a_restore_starts_nothing(units: RestoreUnits, sent: bytes) -> None:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
        connection.connect(str(units.path))
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    assert units.ended() == 1


def test_an_order_for_a_backup_is_refused_by_the_unit(agent: Agent, units: RestoreUnits) -> None:
    storage = agent.store.storages.list()[0]
    access, sources = StorageAccess(storage), SourceSet(("/etc",))
    order = BackupOrder("host.example", "0" * 16, "etc", "full", access, sources, Secret(""), "/s", "/c")
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
        connection.connect(str(units.path))
        connection.sendall(
            json.dumps({"nice": 0, "ionice": "none"}).encode() + b"\n" + dump_order(order) + b"\n"
        )
        assert connection.recv(1) == b""
    assert units.ended() == 1
