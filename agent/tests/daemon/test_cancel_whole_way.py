# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real backups in parallel whose storage falls silent: progress is told, and all of them can be cancelled."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path
from typing import Any

import pytest
from agent_process import AgentProcess, eventually
from realparts.proxy import Proxy
from realparts.pytest_fixtures import SshServer
from realparts.s3server import S3Server

from papi_backup.jobs.running import TERMINATION_GRACE
from papi_backup.model.schedule import BackupConfig
from papi_backup.model.storage import StorageAccess
from papi_backup.state.store import Store

pytestmark = pytest.mark.slow

SILENT_AFTER = 40 << 20
FILES, FILE_SIZE = 96, 1 << 20
API = "/papi/backup"


@pytest.fixture(params=["ssh", "s3"])
def proxied(request: pytest.FixtureRequest) -> tuple[StorageAccess, Proxy]:
    """A real storage behind a proxy that falls silent in the middle of a backup."""
    if request.param == "ssh":
        sshd: SshServer = request.getfixturevalue("sshd_server")
        access: StorageAccess = request.getfixturevalue("ssh_access")
        proxy = Proxy(sshd.sshd.port, mute_after=SILENT_AFTER)
        changes: dict[str, Any] = {"ssh_port": proxy.port}
    else:
        s3: S3Server = request.getfixturevalue("s3_server")
        access = request.getfixturevalue("s3_access")
        proxy = Proxy(s3.port, mute_after=SILENT_AFTER)
        changes = {"endpoint_url": f"http://127.0.0.1:{proxy.port}"}
    return StorageAccess(dataclasses.replace(access.storage, **changes), access.ssh_id), proxy


def jobs(daemon: AgentProcess) -> dict[int, dict[str, Any]]:
    return {job["job_id"]: job for job in daemon.ask(f"{API}/job/list")["data"]}


def statuses(daemon: AgentProcess) -> list[str]:
    return [job["job_status"] for job in jobs(daemon).values()]


def run(daemon: AgentProcess, name: str, backup_type: str) -> int:
    answer = daemon.ask(f"{API}/backup/run", "POST", backup_name=name, backup_type=backup_type)
    return int(answer["job_id"])


def configure(daemon: AgentProcess, access: StorageAccess, source: Path) -> None:
    daemon.configure(jobs="drain_timeout = 1\nparallel = 2")
    with Store.open(daemon.state) as store:
        if access.ssh_id is not None:
            store.ssh_ids.add(access.ssh_id)
        storage_id = store.storages.add(access.storage).storage_id
        for name in ("one", "two"):
            store.configs.add(BackupConfig(name, storage_id, paths=(str(source),)))
    source.mkdir()
    for number in range(FILES):
        (source / f"{number}").write_bytes(os.urandom(FILE_SIZE))


def test_two_backups_run_at_a_time_tell_their_progress_and_end_when_they_are_cancelled(
    daemon: AgentProcess, proxied: tuple[StorageAccess, Proxy], tmp_path: Path
) -> None:
    access, proxy = proxied
    configure(daemon, access, tmp_path / "source")
    with proxy:
        daemon.start_and_wait()
        first, again, other = (
            run(daemon, "one", "full"),
            run(daemon, "one", "inc"),
            run(daemon, "two", "full"),
        )
        eventually(lambda: statuses(daemon) == ["running", "waiting", "running"], "two run, one waits")
        eventually(
            lambda: all(jobs(daemon)[job].get("bytes_done") for job in (first, other)),
            "both are on their way",
        )
        told = jobs(daemon)
        for job in (first, other):
            assert told[job]["bytes_done"] > 0 and told[job]["rate"] > 0
            assert told[job]["size_transferred"] == 0
        assert "bytes_done" not in told[again]
        eventually(lambda: proxy.sent > SILENT_AFTER, "the storage is silent")
        for job in (again, first, other):
            answer = daemon.ask(f"{API}/job/cancel", "POST", job_id=str(job))
            assert answer["job_status"] == ("failed" if job == again else "running")
        begun = time.monotonic()
        while set(statuses(daemon)) != {"failed"}:
            assert time.monotonic() - begun < TERMINATION_GRACE + 5
            time.sleep(0.1)
        for told_job in jobs(daemon).values():
            assert (told_job["error_code"], told_job["size_transferred"]) == (3015, 0)
            assert told_job["description"] == f"[3015] cancelled by uid {os.getuid()}"
            assert "rate" not in told_job
    with Proxy(proxy.target_port, port=proxy.port) as healthy:
        name = access.storage.storage_name
        assert daemon.ask(f"{API}/backup/list", storage_name=name)["data"] == {name: {}}
        last = run(daemon, "one", "inc")
        eventually(lambda: jobs(daemon)[last]["job_status"] == "success", "the next one is not in the way")
        assert jobs(daemon)[last]["backup_type"] == "full"
        assert [len(found) for found in daemon.ask(f"{API}/backup/list")["data"][name].values()] == [1]
        healthy.delay = 0.05
        cancel_a_restore(daemon, name, tmp_path / "out")
    restored = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(restored) < FILES
    for path in restored:
        assert path.read_bytes() == (tmp_path / "source" / path.name).read_bytes(), "no file is half there"


def cancel_a_restore(daemon: AgentProcess, storage_name: str, target: Path) -> None:
    """Begin a restore over a slow network, and cancel it when it has written something."""
    order = {"storage_name": storage_name, "backup_name": "one", "restore_date": "2100-01-01"}
    answer = daemon.ask(f"{API}/backup/restore", "POST", **order, target_dir=str(target), encryption_key="")
    job = int(answer["job_id"])
    eventually(lambda: jobs(daemon)[job].get("bytes_done"), "the restore is on its way")
    assert daemon.ask(f"{API}/job/cancel", "POST", job_id=str(job))["job_status"] == "running"
    eventually(lambda: jobs(daemon)[job]["job_status"] == "failed", "the restore ends")
    assert jobs(daemon)[job]["description"] == f"[3015] cancelled by uid {os.getuid()}"
