# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two callers at once: one is stopped right after it has read, and the other goes on if it can."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
from fake_backends import NOW, World, backup_of

from papi_backup.model.schedule import Schedule
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage, SshStorage
from papi_backup.services.configs import ConfigFields
from papi_backup.services.container import Services
from papi_backup.services.jobs import RestoreFields
from papi_backup.services.storages import S3StorageFields, SshStorageFields

T = TypeVar("T")
SECONDS = 10.0
READS = ("get", "by_name", "list")
TABLES = ("storages", "configs", "ssh_ids")
OFF = Schedule()


class StoppingStore:
    """A store that stops the thread of its owner once, after its first read, until it may go on."""

    def __init__(self, store: object) -> None:
        self._store = store
        self.owner = 0
        self.has_read, self.go_on = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        return StoppingTable(found, self) if name in TABLES else found


class StoppingTable:
    def __init__(self, table: object, store: StoppingStore) -> None:
        self._table, self._store = table, store

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._table, name)
        if name not in READS:
            return found

        def read(*arguments: object) -> object:
            answer = found(*arguments)
            if threading.get_ident() == self._store.owner and not self._store.has_read.is_set():
                self._store.has_read.set()
                assert self._store.go_on.wait(SECONDS)
            return answer

        return read


def beside(world: World, first: Callable[[Services], T], second: Callable[[Services], object]) -> T:
    """Return what the first is answered, during whose call the second is made."""
    store: Any = StoppingStore(world.store)
    stopping = Services.create(store, world.settings, world.queue, world.queries, clock=lambda: NOW)

    def owned() -> T:
        store.owner = threading.get_ident()
        return first(stopping)

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(owned)
        assert store.has_read.wait(SECONDS)
        two = pool.submit(second, world.services)
        # It is either done by then, or waits for the first.
        time.sleep(0.2)
        store.go_on.set()
        two.result(SECONDS)
        return one.result(SECONDS)


def edit_bucket(secret: Secret | None = None) -> Callable[[Services], object]:
    fields = S3StorageFields("bucket", "AKID", "backups", 64, secret)
    return lambda services: services.storages.edit_s3(2, fields, apply=True)


def edit_ssh(storage_id: int, name: str, host_key: str | None = None) -> Callable[[Services], object]:
    fields = SshStorageFields(name, "vault.example", 22, "backup", 1, "/srv/other", host_key)
    return lambda services: services.storages.edit_ssh(storage_id, fields, apply=True)


def edit_system(storage_id: int, key: Secret | None = None) -> Callable[[Services], object]:
    fields = ConfigFields("system", storage_id, OFF, OFF, key)
    return lambda services: services.configs.update(1, fields, apply=True)


def test_an_edit_that_leaves_a_secret_out_does_not_write_an_older_one_back(world: World) -> None:
    beside(world, edit_bucket(), edit_bucket(Secret("new")))
    bucket = world.store.storages.get(2)
    assert isinstance(bucket, S3Storage)
    assert bucket.aws_secret_key == Secret("new")
    beside(world, edit_ssh(1, "vault"), edit_ssh(1, "vault", "ssh-ed25519 AAAA"))
    vault = world.store.storages.get(1)
    assert isinstance(vault, SshStorage)
    assert vault.host_key == "ssh-ed25519 AAAA"
    beside(world, edit_system(1), edit_system(1, Secret("new")))
    assert world.store.configs.get(1).encryption_key == Secret("new")


def another_key(services: Services) -> None:
    """Give the storage ``spare``, which has the SSH id 2, the SSH id 1, and delete the other."""
    edit_ssh(3, "spare")(services)
    services.ssh_ids.delete(2, apply=True)


def another_storage(services: Services) -> None:
    """Give the configuration ``system``, which is on the storage 1, the storage 2, and delete the other."""
    edit_system(2)(services)
    services.storages.delete(1, apply=True)


RESTORE = RestoreFields("spare", "system", NOW, Secret("key"))
READERS: list[tuple[str, Callable[[Services], Any]]] = [
    ("list_storages", lambda services: services.storages.list()),
    ("test_storage", lambda services: services.storages.test("spare", pin=False)),
    ("list_backups", lambda services: services.catalog.list_backups()),
    ("list_hostnames", lambda services: services.catalog.list_host_names("spare")),
    ("restore_backup", lambda services: services.jobs.plan_restore(RESTORE)),
    ("list_backup_config", lambda services: services.configs.list()),
    ("get_backup_config", lambda services: services.configs.get("system")),
    ("test_backup_config", lambda services: services.configs.test(1, pin=False)),
]


@pytest.mark.parametrize("change", [another_key, another_storage])
@pytest.mark.parametrize("read", [row[1] for row in READERS], ids=[row[0] for row in READERS])
def test_what_is_read_is_of_one_moment_and_no_call_fails_because_another_edits(
    world: World, read: Callable[[Services], Any], change: Callable[[Services], None]
) -> None:
    fields = SshStorageFields("spare", "vault.example", 22, "backup", 2, "/srv/spare")
    world.services.storages.edit_ssh(3, fields, apply=True)
    world.queries.backups = {"vault": [backup_of(NOW)]}
    assert beside(world, read, change)
    assert len(world.store.storages.list()) + len(world.store.ssh_ids.list()) == 4
