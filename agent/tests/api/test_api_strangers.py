# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that were written for this API family years ago work unchanged."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from fake_backends import NOW, backup_of
from method_examples import BY_METHOD, CONFIG, S3_STORAGE, SSH_STORAGE
from running_api import RunningApi, running_api
from xml_agreement import agrees

from papi_backup.model.errors import InvalidStorageError

if TYPE_CHECKING:
    from strangers import Stranger

Connect = Callable[[RunningApi, str, str], "Stranger"]
pytestmark = pytest.mark.slow
LISTINGS = (
    "storage/list",
    "job/list",
    "backup/list",
    "backup/list-hostname",
    "backup-config/list",
    "ssh-id/list",
)


@pytest.fixture
def port_api(tmp_path: Path) -> Iterator[RunningApi]:
    with running_api(tmp_path) as running:
        running.world.queries.backups = {
            "vault": [backup_of(NOW - timedelta(days=1), "my backup"), backup_of(NOW, "my backup", number=2)]
        }
        yield running


@pytest.fixture(params=["misp-modules", "tau-clients"])
def connect(request: pytest.FixtureRequest) -> Connect:
    def connected(api: RunningApi, username: str, password: str) -> Stranger:
        base = f"http://127.0.0.1:{api.server.tcp_port}/papi"
        # Not above: to import them takes longer than the rest of the collection.
        strangers = importlib.import_module("strangers").STRANGERS
        client: Stranger = strangers[request.param](base, {"username": username, "password": password})
        return client

    return connected


@pytest.fixture
def client(connect: Connect, port_api: RunningApi) -> Stranger:
    return connect(port_api, "admin", "secret")


def test_every_listing_is_read_in_json_and_xml(client: Stranger, port_api: RunningApi) -> None:
    client.post("backup/run", backup_name="system", backup_type="full")
    for path in LISTINGS:
        data = client.get(path)
        assert data == client.post(path)
        assert data == port_api.get(path).data
        document = ElementTree.fromstring(client.xml(path))  # noqa: S314 (made by the agent under test)
        assert agrees(document, {"success": 1, "data": data})
    assert [row["storage_name"] for row in client.get("storage/list")] == ["vault", "bucket", "spare"]
    assert len(client.get("backup/list")["vault"]["my backup"]) == 2
    assert client.get("backup/list-hostname")["vault"] == ["host.example"]


def test_what_one_thing_is_like_is_read(client: Stranger) -> None:
    assert client.get("backup-config/get", backup_name="system")["inc"]["period"] == "daily"
    assert client.get("ssh-id/get-pub", ssh_id_id=1)["pub_key"].startswith("ssh-ed25519 ")


def test_things_are_added_edited_and_deleted(client: Stranger, port_api: RunningApi) -> None:
    store = port_api.world.store
    assert client.post("ssh-id/new", key_name="theirs", key_length=2048) == "success"
    ssh = SSH_STORAGE | {"ssh_id_id": 3, "storage_name": "their säfe"}
    assert client.post("storage/ssh/add", **ssh) == "success"
    assert client.post("storage/ssh/edit", **ssh | {"storage_id": 4, "ssh_port": 2222}) == "success"
    assert client.post("storage/s3/add", **S3_STORAGE) == "success"
    assert client.post("storage/s3/edit", **S3_STORAGE | {"storage_id": 5, "file_size": 128}) == "success"
    assert client.post("backup-config/add", **CONFIG | {"storage_id": 4}) == "success"
    assert client.post("backup-config/edit", **CONFIG | {"storage_id": 5, "backup_id": 2}) == "success"
    told = client.get("storage/list")[-2:]
    assert [(row["storage_name"], row.get("ssh_port"), row.get("file_size")) for row in told] == [
        ("their säfe", 2222, None),
        ("new", None, 128),
    ]
    assert client.get("backup-config/list")[-1]["storage_name"] == "new"
    for path, fields in (
        ("backup-config/del", {"backup_id": 2}),
        ("storage/del", {"storage_id": 4}),
        ("storage/del", {"storage_id": 5}),
        ("ssh-id/del", {"ssh_id_id": 3}),
    ):
        assert client.post(path, **fields) == "success"
    assert (len(store.storages.list()), len(store.configs.list()), len(store.ssh_ids.list())) == (3, 1, 2)


def test_storages_and_configurations_are_tested(client: Stranger, port_api: RunningApi) -> None:
    for call in (client.get, client.post):
        assert call("storage/test", storage_name="bucket") == "success"
        assert call("backup-config/test", backup_id=1) == "success"
    port_api.world.queries.failures["bucket"] = InvalidStorageError("reach: nobody answers")
    with pytest.raises(client.errors) as failed:
        client.get("storage/test", storage_name="bucket")
    assert failed.value.args == ("reach: nobody answers", 4001)


def test_a_backup_is_run_and_restored(client: Stranger, port_api: RunningApi) -> None:
    assert client.post("backup/run", backup_name="system", backup_type="inc") == "success"
    newest = client.get("backup/list", storage_name="vault")["vault"]["my backup"][-1]
    order = {"storage_name": "vault", "backup_name": "my backup", "restore_date": newest["date"]}
    assert client.post("backup/restore", **order, encryption_key="k", timezone="Europe/Rome") == "success"
    assert port_api.world.queue.restores[0].restore_date == NOW
    told = [(job["job_type"], job["job_status"], job["backup_name"]) for job in client.get("job/list")]
    assert told == [("backup", "waiting", "system"), ("restore", "waiting", "my backup")]


REFUSALS: tuple[tuple[str, dict[str, object], int, str], ...] = (
    ("storage/test", {}, 3005, "Missing required field 'storage_name'."),
    ("storage/test", {"storage_name": "nowhere"}, 3007, "nowhere"),
    ("storage/del", {"storage_id": "one"}, 3005, "'storage_id'"),
    ("storage/del", {"storage_id": 1}, 3005, "'system'"),
    ("backup/run", {"backup_name": "nothing", "backup_type": "full"}, 3007, "nothing"),
)


def test_an_error_of_the_api_reaches_them_with_its_code(client: Stranger, port_api: RunningApi) -> None:
    before = port_api.world.contents()
    for path, fields, code, word in REFUSALS:
        with pytest.raises(client.errors) as failed:
            client.post(path, **fields)
        text, told = failed.value.args
        assert (told, word in text) == (code, True), text
    assert port_api.world.contents() == before


def test_a_wrong_password_is_an_authentication_error(connect: Connect, port_api: RunningApi) -> None:
    client = connect(port_api, "admin", "wrong")
    with pytest.raises(client.errors) as failed:
        client.get("storage/list")
    assert failed.value.args == ("Authentication Error", 3004)


def test_a_viewer_reads_masked_secrets_and_changes_nothing(connect: Connect, port_api: RunningApi) -> None:
    client = connect(port_api, "viewer", "secret")
    assert client.get("storage/list")[1]["aws_secret_key"] == "********"
    example = BY_METHOD["delete_storage"]
    with pytest.raises(client.errors) as failed:
        client.post(example.path, **example.arguments)
    assert failed.value.args[1] == 3001
    assert len(client.get("storage/list")) == 3
