# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""State directories that earlier releases left on hosts: an upgrade finds everything in them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage, SshStorage
from papi_backup.state.store import Store

RELEASES = Path(__file__).parents[3] / "tests" / "golden" / "releases"


@pytest.fixture(params=sorted(path.name for path in RELEASES.iterdir()))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A copy of a release's state, opened by this version."""
    copy = tmp_path / "state"
    copy.mkdir(mode=0o700)
    shutil.unpack_archive(RELEASES / request.param / "state.zip", copy)
    for path in copy.iterdir():
        path.chmod(0o600)
    with Store.open(copy, machine_id_path=tmp_path / "none") as store:
        yield store


def test_there_is_one() -> None:
    assert [path.name for path in RELEASES.glob("*/*.whl")]


def test_storages_and_their_secrets_are_there(store: Store) -> None:
    vault, bucket = store.storages.list()
    assert isinstance(vault, SshStorage)
    assert vault.location == "ssh://backup@vault.example.com:22/srv/backups"
    assert isinstance(bucket, S3Storage)
    assert (bucket.location, bucket.file_size) == ("s3://https://s3.example.com/backups/hosts", 16)
    assert bucket.aws_secret_key == Secret("golden S3 secret")
    key = store.ssh_ids.get(vault.ssh_id_id)
    assert key.public_key.startswith("ssh-rsa ")
    assert key.private_key.reveal().startswith("-----BEGIN OPENSSH PRIVATE KEY-----")


def test_configurations_their_keys_and_schedules_are_there(store: Store) -> None:
    system, homes = store.configs.list()
    assert (system.backup_name, system.paths, system.excludes) == ("system", ("/etc", "/srv"), ("*.tmp",))
    assert system.encryption_key == Secret("golden encryption key")
    assert (system.full.period, system.full.time_list, system.inc.time_run) == ("weekly", (0,), (2,))
    assert (homes.backup_name, homes.full.period, homes.inc.period) == ("homes", "monthly", "deactivated")
    assert store.schedule_state.last_run(system.backup_id, "inc") is not None


def test_accounts_still_log_in(store: Store) -> None:
    admin = store.accounts.verify("admin", Secret("golden administrator"))
    assert admin is not None
    assert admin.role == "administrator"
    assert store.accounts.verify("watcher", Secret("golden administrator")) is None


def test_the_history_of_jobs_is_there(store: Store) -> None:
    jobs = store.jobs.list()
    assert [(job.backup_type, job.job_status, job.error_code) for job in jobs] == [
        ("full", "success", 0),
        ("inc", "success", 0),
        ("inc", "failed", 4001),
    ]
    assert (jobs[0].files, jobs[0].bytes_stored, jobs[0].entries_changed) == (1204, 22439812, 0)


def test_what_guards_chains_is_there(store: Store) -> None:
    assert store.chain_keys.all() == (("1f0c8b2a77d0e1a2", Secret("00" * 32)),)
    vault = store.storages.list()[0]
    assert store.high_water.get(vault.location, "system") == "20260106T020000Z"
