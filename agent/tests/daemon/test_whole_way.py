# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole way through a real agent: API, queue, worker, storage, and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from agent_process import AgentProcess, eventually

from papi_backup.model.schedule import BackupConfig
from papi_backup.model.secret import Secret
from papi_backup.model.storage import SshStorage, StorageAccess
from papi_backup.state.store import Store

KEY = "a key of the backup"


@pytest.fixture(params=["ssh_access", "s3_access"])
def access(request: pytest.FixtureRequest) -> StorageAccess:
    found: StorageAccess = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def source(tmp_path: Path) -> Path:
    directory = tmp_path / "source"
    directory.mkdir()
    (directory / "kept.txt").write_text("as it was\n")
    (directory / "changed.txt").write_text("first\n")
    return directory


def configure(daemon: AgentProcess, access: StorageAccess, source: Path) -> None:
    with Store.open(daemon.state) as store:
        storage = access.storage
        if isinstance(storage, SshStorage) and access.ssh_id is not None:
            store.ssh_ids.add(access.ssh_id)
        storage_id = store.storages.add(storage).storage_id
        store.configs.add(BackupConfig("files", storage_id, Secret(KEY), paths=(str(source),)))


def finished_job(daemon: AgentProcess, path: str, **parameters: str) -> dict[str, Any]:
    """Ask for a job and return it as list_jobs tells it when it has ended."""
    job_id = daemon.ask(path, "POST", **parameters)["job_id"]

    def job() -> dict[str, Any]:
        return next(job for job in daemon.ask("/papi/backup/job/list")["data"] if job["job_id"] == job_id)

    eventually(lambda: job()["job_status"] in ("success", "failed"), f"job {job_id} ends")
    return job()


def back_up(daemon: AgentProcess, backup_type: str) -> dict[str, Any]:
    return finished_job(daemon, "/papi/backup/backup/run", backup_name="files", backup_type=backup_type)


def restore(daemon: AgentProcess, target: Path, key: str = KEY, **parameters: str) -> dict[str, Any]:
    target.mkdir()
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    return finished_job(
        daemon,
        "/papi/backup/backup/restore",
        backup_name="files",
        encryption_key=key,
        target_dir=str(target),
        **({"restore_date": f"{tomorrow:%Y-%m-%d}"} | parameters),
    )


def test_full_incremental_list_and_restore_of_both_dates(
    daemon: AgentProcess, access: StorageAccess, source: Path, tmp_path: Path
) -> None:
    configure(daemon, access, source)
    name = access.storage.storage_name
    daemon.start_and_wait()
    assert daemon.ask("/papi/backup/storage/test", storage_name=name)["success"] == 1

    full = back_up(daemon, "full")
    assert (full["job_status"], full["backup_type"]) == ("success", "full"), full
    (source / "changed.txt").write_text("second\n")
    incremental = back_up(daemon, "inc")
    assert (incremental["job_status"], incremental["backup_type"]) == ("success", "inc"), incremental

    backups = daemon.ask("/papi/backup/backup/list", storage_name=name)["data"]
    dates = sorted(find_all(backups, "date"))
    assert len(dates) == 2

    for date, text in zip(dates, ("first\n", "second\n"), strict=True):
        target = tmp_path / text.strip()
        job = restore(daemon, target, storage_name=name, restore_date=date)
        assert job["job_status"] == "success", job
        restored = Path(f"{target}{source}")
        assert (restored / "changed.txt").read_text() == text
        assert (restored / "kept.txt").read_text() == "as it was\n"
    assert KEY not in daemon.log.read_text()


def test_a_wrong_key_is_4002_and_a_missing_one_4003_in_the_job(
    daemon: AgentProcess, ssh_access: StorageAccess, source: Path, tmp_path: Path
) -> None:
    configure(daemon, ssh_access, source)
    daemon.start_and_wait()
    assert back_up(daemon, "full")["job_status"] == "success"
    for key, code in (("another key", 4002), ("", 4003)):
        target = tmp_path / str(code)
        job = restore(daemon, target, key, storage_name=ssh_access.storage.storage_name)
        assert (job["job_status"], job["error_code"]) == ("failed", code), job
        assert job["description"].startswith(f"[{code}] ")
        assert not list(target.iterdir())


def find_all(data: object, key: str) -> list[str]:
    """Return the values of ``key`` wherever they are in an answer."""
    if isinstance(data, dict):
        return (
            [data[key]] if key in data else [each for value in data.values() for each in find_all(value, key)]
        )
    return [each for value in data for each in find_all(value, key)] if isinstance(data, list) else []
