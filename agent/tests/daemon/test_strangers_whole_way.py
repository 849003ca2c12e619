# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that nobody here wrote go the whole way through a real agent: from a new SSH id to a restored file.

They send what the spec documents and nothing else.
"""

from __future__ import annotations

import importlib
import socket
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest
from agent_process import AgentProcess, eventually
from realparts.pytest_fixtures import SshServer

from papi_backup.model.secret import Secret
from papi_backup.state.store import Store

if TYPE_CHECKING:
    from strangers import Stranger

pytestmark = pytest.mark.slow
KEY, PASSWORD = "a key of the backup", "a password & more"
ZONE = "Asia/Kolkata"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    directory = tmp_path / "source"
    directory.mkdir()
    (directory / "file").write_text("first\n")
    return directory


@pytest.fixture(params=["misp-modules", "tau-clients"])
def client(request: pytest.FixtureRequest, daemon: AgentProcess, source: Path) -> Stranger:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    daemon.configure(
        f'state_dir = "{daemon.state}"\nhost_name = "host.example"\n'
        f'[api]\nsocket = "{daemon.directory}/agent.sock"\nlisten = "127.0.0.1:{port}"\n'
        f'[sources.default]\npaths = ["{source}"]\n'
    )
    with Store.open(daemon.state) as store:
        store.accounts.add("operator", "administrator", Secret(PASSWORD))
    daemon.start_and_wait()
    # Not above: to import them takes longer than the rest of the collection.
    strangers = importlib.import_module("strangers").STRANGERS
    credentials = {"username": "operator", "password": PASSWORD}
    made: Stranger = strangers[request.param](f"http://127.0.0.1:{port}/papi", credentials)
    return made


def ended(client: Stranger) -> dict[str, Any]:
    """Wait for the newest job and return it."""

    def newest() -> dict[str, Any]:
        job: dict[str, Any] = client.get("job/list", timezone=ZONE)[-1]
        assert job["size_transferred"] == 0 or job["end_date"]
        return job

    eventually(lambda: newest()["job_status"] in ("success", "failed"), "the job ends")
    return newest()


def set_up(client: Stranger, server: SshServer, base: Path) -> None:
    assert client.post("ssh-id/new", key_name="theirs", key_length=256) == "success"
    (ssh_id,) = client.get("ssh-id/list")
    public = client.get("ssh-id/get-pub", ssh_id_id=ssh_id["ssh_id_id"])["pub_key"]
    server.sshd.add_authorized_key(public)
    storage = {
        "storage_name": "their vault",
        "server_name": "127.0.0.1",
        "ssh_port": server.sshd.port,
        "ssh_username": server.sshd.user,
        "ssh_id_id": ssh_id["ssh_id_id"],
        "storage_base": str(base / "not" / "there"),
    }
    assert client.post("storage/ssh/add", **storage) == "success"
    with pytest.raises(client.errors) as failed:
        client.get("storage/test", storage_name="their vault")
    assert failed.value.args[1] == 4001 and "write: " in failed.value.args[0]
    (added,) = client.get("storage/list")
    edited = storage | {"storage_id": added["storage_id"], "storage_base": str(base)}
    assert client.post("storage/ssh/edit", **edited) == "success"
    assert client.get("storage/test", storage_name="their vault") == "success"
    config = {
        "backup_name": "files",
        "storage_id": added["storage_id"],
        "encryption_key": KEY,
        "schedule_full_period": "weekly",
        "schedule_full_frequency": 1,
        "schedule_full_time_list": "0",
        "schedule_full_day_run": "",
        "schedule_full_time_run": "2",
        "schedule_inc_period": "deactivated",
    }
    assert client.post("backup-config/add", **config) == "success"
    (config_told,) = client.get("backup-config/list", timezone=ZONE)
    assert client.get("backup-config/test", backup_id=config_told["backup_id"]) == "success"


def test_what_they_set_up_is_backed_up_listed_and_restored_in_place(
    client: Stranger, sshd_server: SshServer, source: Path, tmp_path: Path
) -> None:
    base = tmp_path / "ssh-storage"
    base.mkdir()
    set_up(client, sshd_server, base)
    for backup_type, text in (("full", "first\n"), ("inc", "second\n")):
        (source / "file").write_text(text)
        assert client.post("backup/run", backup_name="files", backup_type=backup_type) == "success"
        job = ended(client)
        assert (job["job_status"], job["backup_type"]) == ("success", backup_type), job
        assert job["size_transferred"] > 0
    assert client.get("backup/list-hostname") == {"their vault": ["host.example"]}
    backups = client.get("backup/list", timezone=ZONE)["their vault"]["files"]
    assert [(one["full"], one["encrypted"]) for one in backups] == [(True, True), (False, True)]

    order = {"storage_name": "their vault", "backup_name": "files", "timezone": ZONE}
    for backup, text in ((backups[0], "first\n"), (backups[1], "second\n")):
        found = client.post("backup/restore", **order, restore_date=backup["date"], encryption_key=KEY)
        assert found == "success"
        assert ended(client)["job_status"] == "success"
        assert (source / "file").read_text() == text

    client.post("backup/restore", **order, restore_date=backups[0]["date"], encryption_key="mistyped")
    job = ended(client)
    assert (job["job_status"], job["description"][:7]) == ("failed", "[4002] ")
    assert (source / "file").read_text() == "second\n"
    document = ElementTree.fromstring(client.xml("job/list"))  # noqa: S314 (made by the agent under test)
    statuses = [element.text for element in document.iterfind("data/element/job_status")]
    assert statuses == ["success"] * 4 + ["failed"]
