# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Made the state directory of a golden release; kept to show how, not to be run again for that release.

    PYTHONPATH=WHEEL python3 tests/golden/make_release.py DIRECTORY

The wheel's own code writes the state, so that it is what that release would have left on a host.
DIRECTORY must not exist.  Every secret in it is made up for the tests.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from papi_backup.model.job import Job, JobResult
from papi_backup.model.schedule import BackupConfig, BackupType, Schedule
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage, SshId, SshStorage
from papi_backup.state.jobs import JobRequest
from papi_backup.state.store import Store

FIRST_DATE = datetime(2026, 1, 4, 2, tzinfo=UTC)


class Clock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now = FIRST_DATE

    def __call__(self) -> datetime:
        """Return the present instant."""
        return self.now


def ssh_id() -> SshId:
    """Return a new key pair."""
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return SshId(0, "golden-key", 2048, public.decode(), Secret(private.decode()))


def configure(store: Store) -> BackupConfig:
    """Fill everything an administrator sets; return the configuration that is then run."""
    key = store.ssh_ids.add(ssh_id())
    ssh = store.storages.add(
        SshStorage("vault", "vault.example.com", 22, "backup", key.ssh_id_id, "/srv/backups")
    )
    bucket = store.storages.add(
        S3Storage(
            "bucket",
            "GOLDENKEYID",
            Secret("golden S3 secret"),
            "backups",
            16,
            endpoint_url="https://s3.example.com",
            region="eu-south-1",
            prefix="hosts",
        )
    )
    system = store.configs.add(
        BackupConfig(
            "system",
            ssh.storage_id,
            Secret("golden encryption key"),
            Schedule("weekly", 1, (0,), (), (2,)),
            Schedule("weekly", 1, (1, 2, 3, 4, 5, 6), (), (2,)),
            ("/etc", "/srv"),
            ("*.tmp",),
        )
    )
    store.configs.add(BackupConfig("homes", bucket.storage_id, full=Schedule("monthly", 1, (1,), (), (4,))))
    store.accounts.add("admin", "administrator", Secret("golden administrator"))
    store.accounts.add("watcher", "viewer", Secret("golden viewer"))
    store.chain_keys.put("1f0c8b2a77d0e1a2", Secret("00" * 32))
    store.high_water.put(ssh.location, "system", "20260106T020000Z")
    return system


def run_jobs(store: Store, clock: Clock, config: BackupConfig) -> None:
    """Make a history: a full and two incremental backups, the last of them failed."""
    kinds: tuple[BackupType, ...] = ("full", "inc", "inc")
    for number, kind in enumerate(kinds):
        clock.now = FIRST_DATE + timedelta(days=number)
        added = store.jobs.add(
            Job(0, "backup", "waiting", "system", kind, clock.now, backup_id=config.backup_id),
            JobRequest(config.backup_id),
        )
        store.jobs.start(added.job_id)
        clock.now += timedelta(seconds=20)
        if number == 2:
            store.jobs.fail(added.job_id, 4001, "vault.example.com could not be reached.")
        else:
            store.jobs.finish(
                added.job_id, JobResult("1,204 files.", kind, 22439812, 1204, 87137894, 22439812)
            )
        store.schedule_state.set_last_run(config.backup_id, kind, clock.now)


def main() -> None:
    """Make the directory."""
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True)
    clock = Clock()
    with Store.open(directory, clock) as store:
        run_jobs(store, clock, configure(store))


if __name__ == "__main__":
    main()
