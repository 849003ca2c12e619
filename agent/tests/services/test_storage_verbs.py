# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storages: what the verbs promise beyond keeping rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fake_backends import HOST_KEY, World

from papi_backup.model.errors import InvalidParameterError, NoSuchEntityError, StorageCredentialsError
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage, SshStorage
from papi_backup.services.change import Change
from papi_backup.services.storages import S3StorageFields, SshStorageFields, StorageEntry

SSH = SshStorageFields("new", "h.example", 22, "u", 1, "/base")
S3 = S3StorageFields("new", "AKID", "backups", 16, Secret("s"))


def ssh(world: World, storage_id: int) -> SshStorage:
    storage = world.store.storages.get(storage_id)
    assert isinstance(storage, SshStorage)
    return storage


def s3(world: World, storage_id: int) -> S3Storage:
    storage = world.store.storages.get(storage_id)
    assert isinstance(storage, S3Storage)
    return storage


def test_storages_are_listed_in_creation_order_with_the_names_of_their_ssh_ids(world: World) -> None:
    listed = [(entry.storage.storage_name, entry.ssh_id_name) for entry in world.services.storages.list()]
    assert listed == [("vault", "key"), ("bucket", ""), ("spare", "key")]


@pytest.mark.parametrize("fields", [SSH, S3], ids=["ssh", "s3"])
def test_a_planned_addition_changes_nothing_and_an_applied_one_does_what_was_planned(
    world: World, fields: SshStorageFields | S3StorageFields
) -> None:
    verbs = world.services.storages

    def add(apply: bool) -> Change[StorageEntry]:
        if isinstance(fields, SshStorageFields):
            return verbs.add_ssh(fields, apply=apply)
        return verbs.add_s3(fields, apply=apply)

    before = world.contents()
    planned = add(apply=False).after
    assert world.contents() == before
    applied = add(apply=True).after
    stored = world.store.storages.by_name("new")
    assert applied and applied.storage == stored
    assert planned and planned.storage == replace(stored, storage_id=0)


@pytest.mark.parametrize("apply", [False, True])
def test_a_taken_name_is_refused_planned_or_not(world: World, apply: bool) -> None:
    with pytest.raises(InvalidParameterError, match=r"'storage_name'.*'vault' exists"):
        world.services.storages.add_s3(replace(S3, storage_name="vault"), apply=apply)
    with pytest.raises(InvalidParameterError, match=r"'storage_name'.*'vault' exists"):
        world.services.storages.edit_ssh(3, replace(SSH, storage_name="vault"), apply=apply)


@pytest.mark.parametrize("apply", [False, True])
def test_an_unknown_ssh_id_is_refused_planned_or_not(world: World, apply: bool) -> None:
    with pytest.raises(NoSuchEntityError, match="SSH id 99"):
        world.services.storages.add_ssh(replace(SSH, ssh_id_id=99), apply=apply)
    with pytest.raises(NoSuchEntityError, match="SSH id 99"):
        world.services.storages.edit_ssh(1, replace(SSH, ssh_id_id=99), apply=apply)


def test_an_edit_keeps_the_secret_and_the_extensions_that_are_absent(world: World) -> None:
    verbs = world.services.storages
    full = replace(S3, endpoint_url="http://s3", region="r", prefix="p")
    verbs.edit_s3(2, full, apply=True)
    sparse = S3StorageFields("renamed", "AKID2", "other", 8)
    verbs.edit_s3(2, sparse, apply=True)
    stored = s3(world, 2)
    assert stored == S3Storage("renamed", "AKID2", Secret("s"), "other", 8, "http://s3", "r", "p", 2)
    verbs.edit_s3(2, replace(sparse, prefix="", region="", endpoint_url=""), apply=True)
    assert s3(world, 2) == replace(stored, prefix="", region="", endpoint_url="")


def test_an_edit_that_says_what_is_there_changes_nothing(world: World) -> None:
    same = SshStorageFields("vault", "vault.example", 22, "backup", 1, "/srv/backup")
    assert not world.services.storages.edit_ssh(1, same, apply=True).changed
    assert world.services.storages.edit_ssh(1, replace(same, ssh_port=23), apply=False).changed
    assert ssh(world, 1).ssh_port == 22


def test_a_storage_does_not_change_its_type(world: World) -> None:
    with pytest.raises(InvalidParameterError, match=r"'storage_id'.*type s3"):
        world.services.storages.edit_ssh(2, SSH, apply=False)
    with pytest.raises(InvalidParameterError, match=r"'storage_id'.*type ssh"):
        world.services.storages.edit_s3(1, S3, apply=False)


@pytest.mark.parametrize("apply", [False, True])
def test_a_storage_in_use_is_not_deleted_and_its_user_is_named(world: World, apply: bool) -> None:
    with pytest.raises(InvalidParameterError, match=r"'vault'.*in use.*'system'"):
        world.services.storages.delete(1, apply=apply)
    assert world.store.storages.get(1)


def test_the_first_successful_test_pins_the_servers_key(world: World) -> None:
    world.services.storages.test("vault", pin=True)
    assert ssh(world, 1).host_key == HOST_KEY
    world.queries.host_key = "ssh-rsa OTHER"
    world.services.storages.test("vault", pin=True)
    assert ssh(world, 1).host_key == HOST_KEY
    assert ssh(world, 3).host_key == ""


@pytest.mark.parametrize(
    ("edited", "kept"),
    [
        ({}, HOST_KEY),
        ({"ssh_username": "other", "storage_base": "/other", "storage_name": "renamed"}, HOST_KEY),
        ({"server_name": "elsewhere.example"}, ""),
        ({"ssh_port": 2222}, ""),
        ({"server_name": "elsewhere.example", "host_key": "ssh-rsa OTHER"}, "ssh-rsa OTHER"),
        ({"host_key": ""}, ""),
    ],
    ids=["nothing", "who and where on it", "server", "port", "server and key", "key"],
)
def test_the_key_of_a_server_is_not_held_against_another(
    world: World, edited: dict[str, Any], kept: str
) -> None:
    fields = replace(SSH, storage_name="vault")
    world.services.storages.edit_ssh(1, fields, apply=True)
    world.services.storages.test("vault", pin=True)
    planned = world.services.storages.edit_ssh(1, replace(fields, **edited), apply=False).after
    assert planned and isinstance(planned.storage, SshStorage) and planned.storage.host_key == kept
    world.services.storages.edit_ssh(1, replace(fields, **edited), apply=True)
    assert ssh(world, 1).host_key == kept


def test_a_failed_test_or_one_that_may_not_pins_nothing(world: World) -> None:
    world.services.storages.test("vault", pin=False)
    world.queries.failures["vault"] = StorageCredentialsError("login: refused")
    with pytest.raises(StorageCredentialsError, match="login: refused"):
        world.services.storages.test("vault", pin=True)
    assert ssh(world, 1).host_key == ""


def test_a_storage_that_was_edited_while_it_was_tested_is_not_pinned(world: World) -> None:
    elsewhere = replace(SSH, storage_name="vault", server_name="elsewhere.example")
    world.queries.during_check = lambda: world.services.storages.edit_ssh(1, elsewhere, apply=True)
    world.services.storages.test("vault", pin=True)
    assert ssh(world, 1).host_key == ""
    world.queries.during_check = lambda: world.services.storages.delete(3, apply=True)
    world.services.storages.test("spare", pin=True)


def test_an_s3_test_has_no_key_to_pin(world: World) -> None:
    before = world.contents()
    world.services.storages.test("bucket", pin=True)
    assert world.contents() == before
