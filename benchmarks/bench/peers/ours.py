# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""papi.backup: a real agent, and jobs that its API starts."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.agent_api import Value, call
from bench.agent_jobs import measure_call, measure_job
from bench.measuring import Figures, StepFailedError
from bench.peers.protocol import STEPS, Repository, Step, Task
from bench.servers import BUCKET, S3Storage, SftpServer
from realparts.agent import Agent

HOST_NAME = "bench-host"
FILE_SIZE = 64
"""Largest object on S3, in mebibytes."""

_SSH_ID = "bench"
_ALL_TIME = "2999-12-31"
_CALLED = {"full": "full", "unchanged": "inc", "changed": "inc"}


@dataclass(frozen=True, slots=True)
class Ours:
    """A running agent."""

    agent: Agent
    version: str
    name: str = "ours"
    steps: Sequence[Step] = STEPS
    storages: Sequence[str] = ("sftp", "s3")
    loses: Sequence[str] = ()
    slow: bool = False
    remarks: str = (
        "jobs of an agent, started by its API over the unix socket, measured from the call until the job is"
        " a success; the agent's own priority for jobs (nice 10). Zstandard, AES-256-CBC with HMAC-SHA-256."
        " Each volume is written to disk by the server (fsync) before it gets its name"
    )

    def create(self, task: Task) -> Repository:
        """Add the storage and the backup configuration."""
        return _Configuration(self.agent, task)


class _Configuration:
    def __init__(self, agent: Agent, task: Task) -> None:
        self._agent = agent
        self._name = task.name
        self._source = task.source
        self._key = secrets.token_hex(24)
        server = task.place.server
        if isinstance(server, S3Storage):
            self._add_bucket(server, task.place.name)
        elif isinstance(server, SftpServer):
            self._add_ssh(server, task.place.name)
        else:
            raise StepFailedError(f"an agent does not speak {server.kind}")
        found = self._call("storage/list")["data"]
        self._storage_id = next(one["storage_id"] for one in found if one["storage_name"] == self._name)
        self._call(
            "backup-config/add",
            backup_name=self._name,
            storage_id=self._storage_id,
            encryption_key=self._key,
            paths=[str(self._source)],
        )
        configurations = self._call("backup-config/list")["data"]
        self._backup_id = next(one["backup_id"] for one in configurations if one["backup_name"] == self._name)

    def _add_ssh(self, server: SftpServer, place: str) -> None:
        ids = self._call("ssh-id/list")["data"]
        if not ids:
            self._call("ssh-id/new", key_name=_SSH_ID, key_length=256)
            ids = self._call("ssh-id/list")["data"]
        public = self._call("ssh-id/get-pub", ssh_id_id=ids[0]["ssh_id_id"])["data"]["pub_key"]
        server.let_in(public)
        base = server.base / place
        base.mkdir(parents=True)
        self._call(
            "storage/ssh/add",
            storage_name=self._name,
            server_name="127.0.0.1",
            ssh_port=server.sshd.port,
            ssh_username=server.sshd.user,
            ssh_id_id=ids[0]["ssh_id_id"],
            storage_base=str(base),
            host_key=server.sshd.host_key,
        )

    def _add_bucket(self, server: S3Storage, place: str) -> None:
        self._call(
            "storage/s3/add",
            storage_name=self._name,
            aws_key_id=server.server.access_key,
            aws_secret_key=server.server.secret_key,
            file_size=FILE_SIZE,
            bucket_name=BUCKET,
            endpoint_url=server.server.endpoint_url,
            region=server.server.region,
            prefix=place,
        )

    def back_up(self, step: Step) -> Figures:
        """Run a full or an incremental backup."""
        return self._job("backup/run", backup_name=self._name, backup_type=_CALLED[step])

    def restore(self, target: Path) -> Figures:
        """Restore all."""
        return self._restore(target)

    def restore_one(self, path: Path, target: Path) -> Figures:
        """Restore one file."""
        return self._restore(target, include=[str(path)])

    def list_backups(self) -> Figures:
        """List the backups of this host on the storage."""
        return measure_call(self._agent.pid, lambda: self._call("backup/list", storage_name=self._name))

    def where(self, path: Path, target: Path) -> Path:
        """Return where a restore puts ``path``: below the target with its whole path."""
        return target / path.relative_to("/")

    def remove(self) -> None:
        """Remove the configuration and the storage."""
        self._call("backup-config/del", backup_id=self._backup_id)
        self._call("storage/del", storage_id=self._storage_id)

    def _restore(self, target: Path, **more: Sequence[str]) -> Figures:
        return self._job(
            "backup/restore",
            storage_name=self._name,
            backup_name=self._name,
            restore_date=_ALL_TIME,
            encryption_key=self._key,
            target_dir=str(target),
            **more,
        )

    def _job(self, method: str, **parameters: str | Sequence[str]) -> Figures:
        return measure_job(self._agent.pid, self._agent.socket, lambda: self._call(method, **parameters))[0]

    def _call(self, method: str, **parameters: Value) -> dict[str, Any]:
        return call(self._agent.socket, method, **parameters)
