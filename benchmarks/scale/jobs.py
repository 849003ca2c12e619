# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups and restores as the agent runs them: orders to real worker processes, over SFTP or S3."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from papi_backup.jobs.orders import Failure, JobOrder
from papi_backup.jobs.worker_process import WorkerProcess
from papi_backup.model.job import BackupOrder, JobResult, RestoreOptions, RestoreOrder
from papi_backup.model.schedule import BackupType, SourceSet
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage, SshStorage, StorageAccess
from realparts.pytest_fixtures import make_ssh_id
from realparts.s3server import S3Server
from realparts.sshd import Sshd
from scale.memory import PeakMemory

Kind = Literal["sftp", "s3"]
HOST_NAME = "bench.example"
BUCKET = "bench"
KEY = Secret("the key of the benchmark")


@dataclass(frozen=True)
class Measured:
    """One job: what it says, wall seconds, peak bytes of its process tree."""

    result: JobResult
    seconds: float
    peak: int
    processes: tuple[int, ...]

    def told(self, what: str) -> str:
        """Return one line for a person."""
        parts = " + ".join(f"{size / 1e6:.0f}" for size in self.processes)
        return (
            f"{what:<44} {self.seconds:7.1f} s  peak {self.peak / 1e6:6.0f} MB ({parts})  "
            f"read {self.result.bytes_read / 1e6:8.1f}  stored {self.result.bytes_stored / 1e6:8.2f} MB  "
            f"{self.result.backup_type or 'restore'}"
        )


@dataclass
class Client:
    """A host with an encrypted backup of one tree; remembers what the agent would."""

    directory: Path
    access: StorageAccess
    chain_keys: tuple[tuple[str, Secret], ...] = ()
    high_water: str = ""

    def back_up(self, tree: Path, backup_type: BackupType) -> Measured:
        """Run one backup."""
        order = BackupOrder(
            host_name=HOST_NAME,
            instance_id="0123456789abcdef",
            backup_name="tree",
            backup_type=backup_type,
            access=self.access,
            sources=SourceSet((os.fspath(tree),), ()),
            encryption_key=KEY,
            state_dir=os.fspath(self.directory / "state"),
            cache_dir=os.fspath(self.directory / "cache"),
            known_chain_keys=self.chain_keys,
            high_water=self.high_water,
        )
        measured = run_job(order)
        self.high_water = measured.result.high_water
        if measured.result.chain_key is not None:
            self.chain_keys = ((measured.result.chain, measured.result.chain_key),)
        return measured

    def restore(self, target: Path, date: datetime | None = None) -> Measured:
        """Restore the newest backup, or that of a date."""
        options = RestoreOptions(
            storage_id=1,
            backup_name="tree",
            restore_date=date or datetime.now(UTC),
            hostname=HOST_NAME,
            encryption_key=KEY,
            target_dir=os.fspath(target),
        )
        order = RestoreOrder(
            host_name=HOST_NAME,
            access=self.access,
            options=options,
            own_paths=(os.fspath(self.directory / "state"),),
        )
        return run_job(order)


def run_job(order: JobOrder) -> Measured:
    """Run an order in a worker process.  Raises the PapiError that the job failed with."""
    started = time.monotonic()
    worker = WorkerProcess(order)
    outcome: JobResult | Failure | None = None
    try:
        with PeakMemory(worker.pid) as memory:
            while not worker.at_end:
                select.select([worker], [], [])
                for message in worker.messages():
                    if isinstance(message, JobResult | Failure):
                        outcome = message
            seconds = time.monotonic() - started
    finally:
        worker.close()
    if isinstance(outcome, Failure):
        raise outcome.as_error()
    if outcome is None:
        raise RuntimeError("the worker ended without a word")
    return Measured(outcome, seconds, memory.peak, tuple(memory.processes))


@contextmanager
def storage(kind: Kind, directory: Path) -> Iterator[StorageAccess]:
    """Run a private server; yield the access to an empty place on it."""
    directory.mkdir(parents=True, exist_ok=True)
    if kind == "sftp":
        with Sshd(directory / "sshd") as sshd:
            ssh_id = make_ssh_id(sshd.directory)
            sshd.add_authorized_key(ssh_id.public_key)
            base = directory / "base"
            base.mkdir()
            place = SshStorage(
                "bench", "127.0.0.1", sshd.port, sshd.user, 1, str(base), host_key=sshd.host_key
            )
            yield StorageAccess(place, ssh_id)
        return
    with S3Server(directory / "s3") as server:
        server.make_bucket(BUCKET)
        yield StorageAccess(bucket_on(server))


def bucket_on(server: S3Server) -> S3Storage:
    """Return the entry of the bucket on a server."""
    return S3Storage(
        storage_name="bench",
        aws_key_id=server.access_key,
        aws_secret_key=Secret(server.secret_key),
        bucket_name=BUCKET,
        file_size=0,
        endpoint_url=server.endpoint_url,
        region=server.region,
    )
