# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An agent that is called over its unix socket, killed and started again."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from kills.faults import FoundFaultError, expect
from kills.points import Victim
from realparts.agent import Agent, UnixConnection
from realparts.process import descendants, is_running

PATIENCE = 90.0
"""Seconds that an agent may take for whatever it is asked."""

_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_WORKER = b"papi_backup.jobs.worker"
Fields = dict[str, Any]


class UnansweredError(Exception):
    """Nobody knows whether a call was carried out: its answer did not come."""


class KilledAgent:
    """An agent and its caller."""

    def __init__(self, directory: Path, host_name: str) -> None:
        self.agent = Agent(directory, host_name)

    def call(self, path: str, **parameters: str | int | list[str]) -> Fields:
        """Call a method; return its answer.  Raises UnansweredError, and FoundFaultError for a refusal."""
        body = urlencode(
            {f"{name}[]" if isinstance(value, list) else name: value for name, value in parameters.items()},
            doseq=True,
        )
        with closing(UnixConnection(self.agent.socket, PATIENCE)) as connection:
            try:
                connection.request("POST", f"/papi/backup/{path}.json", body, _FORM)
                answer: Fields = json.loads(connection.getresponse().read())
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise UnansweredError(path) from error
        expect(answer["success"] == 1, f"{path} with {parameters} is refused: {answer}")
        return answer

    def jobs(self) -> list[Fields]:
        """Return all jobs."""
        found: list[Fields] = self.call("job/list")["data"]
        return found

    def job(self, job_id: int) -> Fields:
        """Return one job."""
        return next(job for job in self.jobs() if job["job_id"] == job_id)

    def ended(self, job_id: int) -> Fields:
        """Wait until a job has ended, and return it."""
        self.quiet()
        return self.job(job_id)

    def quiet(self) -> None:
        """Wait until no job runs or waits."""
        deadline = time.monotonic() + PATIENCE
        while any(job["job_status"] in ("waiting", "running") for job in self.jobs()):
            if time.monotonic() > deadline:
                raise FoundFaultError(f"jobs do not end: {self.jobs()[-3:]}")
            time.sleep(0.05)

    def kill(self, victim: Victim, is_over: Callable[[], bool]) -> Victim:
        """Kill one of the agent's processes as soon as it is there; return which one it was in the end.

        It is the agent alone where the job is over before the other one is found.
        """
        while victim in ("worker", "helper") and not is_over():
            found = self._workers() if victim == "worker" else self._helpers()
            if found:
                _kill(found[:1])
                return victim
            time.sleep(0.002)
        agent = self.agent.pid
        if victim == "all" and agent:
            _kill([agent, *descendants(agent)])
            return victim
        _kill([agent])
        return "agent"

    def start_again(self) -> None:
        """Start the agent that was killed, once all of its processes are gone."""
        deadline = time.monotonic() + PATIENCE
        left = self._left()
        while any(map(is_running, left)):
            if time.monotonic() > deadline:
                raise FoundFaultError(f"processes outlive their agent: {left}")
            time.sleep(0.02)
        self.agent.stop()
        self.agent.start()

    def _workers(self) -> list[int]:
        return [
            pid for pid in descendants(self.agent.pid) if _is_worker(pid) and not _is_worker(_parent(pid))
        ]

    def _helpers(self) -> list[int]:
        return [pid for pid in descendants(self.agent.pid) if _is_worker(pid) and _is_worker(_parent(pid))]

    def _left(self) -> list[int]:
        """Return the workers whose agent is gone: those that name its directory's process as their parent."""
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if self._is_of_ours(pid)]

    def _is_of_ours(self, pid: int) -> bool:
        if not _is_worker(pid):
            return False
        with suppress(OSError):
            return os.readlink(f"/proc/{pid}/cwd") == os.fspath(self.agent.directory)
        return False


def _kill(pids: list[int]) -> None:
    # 0 would be this process's own group: the agent may be dead already.
    for pid in filter(None, pids):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _is_worker(pid: int) -> bool:
    try:
        return _WORKER in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
