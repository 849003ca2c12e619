# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``dry_run=1``: the whole validation, what would change, and nothing changed (docs/api_conventions.md)."""

from __future__ import annotations

import pytest
from method_examples import CONFIG, EXAMPLES, S3_STORAGE, SSH_STORAGE, Example
from running_api import RunningApi

from papi_backup.api.endpoint import CHANGE
from papi_backup.api.fields import DRY_RUN
from papi_backup.api.table import ENDPOINTS

MASK = "********"
CHANGES = [example for example in EXAMPLES if example.changes]
S3_EDIT = S3_STORAGE | {"storage_id": 2, "storage_name": "bucket"}
CONFIG_EDIT = {"backup_id": 1, "backup_name": "system", "storage_id": 1}


def plan(api: RunningApi, path: str, **fields: object) -> dict[str, dict[str, object]]:
    data = api.post(path, dry_run=1, **fields).data
    assert isinstance(data, dict)
    return data


@pytest.mark.parametrize("true", [1, "true", "True"])
@pytest.mark.parametrize("example", CHANGES, ids=lambda example: example.method)
def test_a_dry_run_of_every_change_succeeds_and_changes_nothing(
    unchanged_api: RunningApi, example: Example, true: object
) -> None:
    before = unchanged_api.world.contents()
    data = unchanged_api.call("POST", example.path, example.arguments | {"dry_run": true}).data
    assert isinstance(data, dict)
    if example.method != "restore_backup":
        assert list(data) == ["changed", "before", "after"]
        assert data["changed"] is True
    assert unchanged_api.world.contents() == before


def test_every_row_of_the_table_that_changes_something_takes_a_dry_run_and_has_an_example() -> None:
    changing = [endpoint for endpoint in ENDPOINTS if endpoint.http_methods == CHANGE]
    assert {endpoint.name for endpoint in changing} == {example.method for example in CHANGES}
    for endpoint in changing:
        assert DRY_RUN in endpoint.parameters
        assert endpoint.plan is not None
        assert endpoint.access == "administrator"


@pytest.mark.parametrize("example", CHANGES, ids=lambda example: example.method)
def test_a_dry_run_leaves_the_whole_state_database_as_it_is(api: RunningApi, example: Example) -> None:
    api.world.add_job()
    before = api.whole_state()
    assert api.call("POST", example.path, example.arguments | {"dry_run": 1}).envelope["success"] == 1
    for parameter in example.arguments:
        wrong = example.wrong.get(parameter, ()) + tuple(
            value for name, value in example.unknown.items() if name == parameter
        )
        for value in wrong:
            reply = api.call("POST", example.path, example.arguments | {parameter: value, "dry_run": 1})
            assert reply.envelope["success"] == 0
    assert api.whole_state() == before
    assert api.call("POST", example.path, example.arguments).envelope["success"] == 1
    assert api.whole_state() != before


@pytest.mark.parametrize("example", CHANGES, ids=lambda example: example.method)
def test_a_dry_run_refuses_what_the_change_itself_would(unchanged_api: RunningApi, example: Example) -> None:
    for parameter, values in (
        example.wrong | {name: (value,) for name, value in example.unknown.items()}
    ).items():
        for value in values:
            arguments = example.arguments | {parameter: value}
            if parameter != "dry_run":
                really = unchanged_api.call("POST", example.path, arguments)
                planned = unchanged_api.call("POST", example.path, arguments | {"dry_run": 1})
                assert planned.envelope == really.envelope


@pytest.mark.parametrize(
    "example",
    [example for example in CHANGES if not example.path.startswith(("backup/", "job/"))],
    ids=lambda example: example.method,
)
def test_what_a_dry_run_says_is_what_then_happens(api: RunningApi, example: Example) -> None:
    listing = {"storage": "storage/list", "backup-config": "backup-config/list", "ssh-id": "ssh-id/list"}
    before = api.get(listing[example.path.split("/")[0]]).data
    planned = plan(api, example.path, **example.arguments)
    assert api.call("POST", example.path, example.arguments).data == "success"
    after = api.get(listing[example.path.split("/")[0]]).data
    assert isinstance(before, list) and isinstance(after, list)
    for side, entries in ((planned["before"], before), (planned["after"], after)):
        shared = [name for name in side if name not in ("full", "inc", "aws_secret_key", "encryption_key")]
        told = [{name: entry.get(name) for name in shared} for entry in entries]
        assert not side or {name: side[name] for name in shared} in told


def test_a_new_thing_has_no_before_and_no_number_yet(unchanged_api: RunningApi) -> None:
    planned = plan(unchanged_api, "storage/ssh/add", **SSH_STORAGE)
    assert planned == {
        "changed": True,
        "before": {},
        "after": {
            "storage_name": "new",
            "type": "ssh",
            "server_name": "s.example",
            "ssh_port": 22,
            "username": "u",
            "ssh_id": "key",
            "ssh_id_id": 1,
            "storage_base": "/base",
            "host_key": "",
        },
    }


def test_a_deleted_thing_has_no_after(unchanged_api: RunningApi) -> None:
    planned = plan(unchanged_api, "storage/del", storage_id=3)
    assert planned["after"] == {}
    assert planned["before"]["storage_id"] == 3
    deleted = plan(unchanged_api, "backup-config/del", backup_id=1)
    assert deleted["before"]["encryption_key"] == f"{MASK} (different)"


SAME, DIFFERENT = f"{MASK} (same)", f"{MASK} (different)"


@pytest.mark.parametrize(
    ("path", "edit", "before", "after"),
    [
        ("storage/s3/edit", S3_EDIT, MASK, DIFFERENT),
        ("storage/s3/edit", S3_EDIT | {"aws_secret_key": "s3-secret"}, SAME, SAME),
        ("backup-config/edit", CONFIG_EDIT, SAME, SAME),
        ("backup-config/edit", CONFIG_EDIT | {"encryption_key": "new"}, MASK, DIFFERENT),
        ("backup-config/edit", CONFIG_EDIT | {"encryption_key": ""}, MASK, ""),
        ("backup-config/add", CONFIG, None, DIFFERENT),
        ("backup-config/add", CONFIG | {"encryption_key": ""}, None, ""),
    ],
)
def test_secrets_are_masked_and_flagged_same_or_different(
    unchanged_api: RunningApi, path: str, edit: dict[str, object], before: str | None, after: str
) -> None:
    name = "aws_secret_key" if "s3" in path else "encryption_key"
    planned = plan(unchanged_api, path, **edit)
    assert (planned["before"].get(name), planned["after"][name]) == (before, after)


def test_an_edit_that_changes_nothing_says_so(unchanged_api: RunningApi) -> None:
    vault = SSH_STORAGE | {
        "storage_id": 1,
        "storage_name": "vault",
        "server_name": "vault.example",
        "ssh_username": "backup",
        "storage_base": "/srv/backup/",
    }
    planned = plan(unchanged_api, "storage/ssh/edit", **vault)
    assert planned["changed"] is False
    assert planned["before"] == planned["after"]


def test_a_configuration_sent_back_as_it_was_answered_changes_nothing(unchanged_api: RunningApi) -> None:
    answered = unchanged_api.get("backup-config/get", backup_name="system").data
    assert isinstance(answered, dict)
    fields = dict(answered["config"])
    for kind in ("full", "inc"):
        for name in ("period", "frequency", "time_list", "day_run", "time_run"):
            fields[f"schedule_{kind}_{name}"] = answered[kind][name]
    assert plan(unchanged_api, "backup-config/edit", **fields)["changed"] is False


def test_a_restores_dry_run_answers_the_plan_in_the_asked_zone(unchanged_api: RunningApi) -> None:
    planned = plan(
        unchanged_api,
        "backup/restore",
        storage_name="vault",
        backup_name="system",
        restore_date="2026-03-01",
        timezone="Asia/Tokyo",
        encryption_key="",
        target_dir="/restored",
        include="/etc,/srv/*.db",
        overwrite="never",
    )
    assert planned == {
        "catalog_path": "p",
        "date": "2026-03-01 21:00:00",
        "backup_type": "full",
        "instance": "i" * 16,
        "sequence": 1,
        "files": 3,
        "bytes": 4096,
        "creates": 1,
        "overwrites": 1,
        "repairs": 1,
        "keeps": 1,
        "overwritten": ["/etc/passwd"],
        "warnings": ["w"],
    }
    options = unchanged_api.world.queries.planned[-1].options
    assert options.restore_date.isoformat() == "2026-03-01T14:59:59+00:00"
    assert (options.target_dir, options.include, options.overwrite) == (
        "/restored",
        ("/etc", "/srv/*.db"),
        "never",
    )
    assert not options.encryption_key
    assert not options.numeric_owner


@pytest.mark.parametrize("key", ["", " ", "\n", " \t\r\n", "\u2003", " with blanks around it\n"])
def test_a_restore_takes_its_key_byte_for_byte_and_only_the_empty_one_is_none(
    unchanged_api: RunningApi, key: str
) -> None:
    order = {"storage_name": "vault", "backup_name": "system", "restore_date": "2026-03-01"}
    plan(unchanged_api, "backup/restore", encryption_key=key, numeric_owner="1", **order)
    options = unchanged_api.world.queries.planned[-1].options
    assert options.encryption_key.reveal() == key
    assert options.numeric_owner
