# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SSH ids, storages and backup configurations: what is stored comes back, names and references hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from papi_backup.model.errors import InvalidParameterError, NoSuchEntityError
from papi_backup.model.schedule import PERIODS, BackupConfig, Schedule
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage, SshId, SshStorage
from papi_backup.state.store import Store

KEY = SshId(0, "key", 4096, "ssh-ed25519 AAAA key", Secret("-----BEGIN OPENSSH PRIVATE KEY-----"))
BUCKET = S3Storage(
    "bucket", "AKIA", Secret("aws secret"), "backups", 64, "http://127.0.0.1:1", "eu-1", "hosts/a"
)


def server(ssh_id_id: int, name: str = "server") -> SshStorage:
    return SshStorage(name, "backup.example", 2222, "saver", ssh_id_id, "/srv/backup", "ssh-ed25519 AAAA")


def test_everything_added_comes_back_as_it_was_with_its_id(store: Store) -> None:
    key = store.ssh_ids.add(KEY)
    ssh, s3 = store.storages.add(server(key.ssh_id_id)), store.storages.add(BUCKET)
    config = store.configs.add(
        BackupConfig(
            "etc",
            s3.storage_id,
            Secret("passphrase"),
            full=Schedule("monthly", 2, (1, 15), (), (3,)),
            inc=Schedule("daily", 1, (), (), (1, 13)),
            paths=("/etc", "/srv/\udcff"),
            excludes=("*.tmp",),
        )
    )
    assert key == replace(KEY, ssh_id_id=1)
    assert store.ssh_ids.get(1) == store.ssh_ids.by_name("key") == key
    assert ssh == replace(server(1), storage_id=1)
    assert s3 == replace(BUCKET, storage_id=2)
    assert store.storages.list() == [ssh, s3]
    assert store.storages.by_name("bucket") == store.storages.get(2) == s3
    assert store.configs.get(1) == store.configs.by_name("etc") == config
    assert config.encryption_key.reveal() == "passphrase"


def test_it_is_still_there_after_closing_and_opening_again(open_store: Callable[..., Store]) -> None:
    with open_store() as store:
        key = store.ssh_ids.add(KEY)
        storage = store.storages.add(server(key.ssh_id_id))
        config = store.configs.add(BackupConfig("etc", storage.storage_id, Secret("passphrase")))
    with open_store() as store:
        assert (store.ssh_ids.list(), store.storages.list(), store.configs.list()) == (
            [key],
            [storage],
            [config],
        )


def test_an_update_replaces_the_row_whole_and_keeps_its_place_in_the_list(store: Store) -> None:
    first, second = store.storages.add(BUCKET), store.storages.add(replace(BUCKET, storage_name="other"))
    changed = replace(first, storage_name="renamed", aws_secret_key=Secret("new"), region="")
    assert store.storages.update(changed) == changed
    assert store.storages.list() == [changed, second]
    config = store.configs.add(BackupConfig("a", first.storage_id, Secret("key"), paths=("/etc",)))
    without_key = BackupConfig("b", second.storage_id, backup_id=config.backup_id)
    store.configs.update(without_key)
    assert store.configs.list() == [without_key]
    key = store.ssh_ids.add(KEY)
    renamed = replace(key, key_name="renamed", private_key=Secret("other"))
    store.ssh_ids.update(renamed)
    assert store.ssh_ids.list() == [renamed]


def test_a_taken_name_is_refused_on_adding_and_on_renaming(store: Store) -> None:
    key, bucket = store.ssh_ids.add(KEY), store.storages.add(BUCKET)
    other_key = store.ssh_ids.add(replace(KEY, key_name="other"))
    other = store.storages.add(server(key.ssh_id_id))
    config = store.configs.add(BackupConfig("etc", bucket.storage_id))
    other_config = store.configs.add(BackupConfig("srv", bucket.storage_id))
    taken: list[tuple[str, Callable[[], object]]] = [
        ("key_name", lambda: store.ssh_ids.add(KEY)),
        ("key_name", lambda: store.ssh_ids.update(replace(other_key, key_name="key"))),
        ("storage_name", lambda: store.storages.add(server(key.ssh_id_id, "bucket"))),
        ("storage_name", lambda: store.storages.update(replace(other, storage_name="bucket"))),
        ("backup_name", lambda: store.configs.add(BackupConfig("etc", bucket.storage_id))),
        ("backup_name", lambda: store.configs.update(replace(other_config, backup_name="etc"))),
    ]
    for parameter, change in taken:
        with pytest.raises(InvalidParameterError, match="exists already") as refused:
            change()
        assert refused.value.parameter == parameter
    assert store.storages.list() == [bucket, other]
    assert store.configs.list() == [config, other_config]
    assert store.ssh_ids.list() == [key, other_key]


@pytest.mark.parametrize("unknown", [0, 99, -1, 10**30])
def test_an_unknown_id_names_nothing(store: Store, unknown: int) -> None:
    for get in (store.ssh_ids.get, store.storages.get, store.configs.get, store.jobs.get):
        with pytest.raises(NoSuchEntityError, match=str(unknown)):
            get(unknown)


@pytest.mark.parametrize("unknown", ["", "nobody", "\udcff", "a\0b", "' OR 1=1 --"])
def test_an_unknown_name_names_nothing(store: Store, unknown: str) -> None:
    store.ssh_ids.add(KEY)
    for by_name in (store.ssh_ids.by_name, store.storages.by_name, store.configs.by_name):
        with pytest.raises(NoSuchEntityError):
            by_name(unknown)


def test_changing_or_deleting_what_is_not_there_is_refused(store: Store) -> None:
    bucket = store.storages.add(BUCKET)
    for change in (
        lambda: store.ssh_ids.update(replace(KEY, ssh_id_id=9)),
        lambda: store.ssh_ids.delete(9),
        lambda: store.storages.update(replace(BUCKET, storage_id=9)),
        lambda: store.storages.delete(9),
        lambda: store.configs.update(BackupConfig("etc", bucket.storage_id, backup_id=9)),
        lambda: store.configs.delete(9),
    ):
        with pytest.raises(NoSuchEntityError, match="9"):
            change()


def test_what_is_in_use_is_not_deleted(store: Store) -> None:
    key = store.ssh_ids.add(KEY)
    storage = store.storages.add(server(key.ssh_id_id))
    config = store.configs.add(BackupConfig("etc", storage.storage_id))
    with pytest.raises(InvalidParameterError, match="in use"):
        store.ssh_ids.delete(key.ssh_id_id)
    with pytest.raises(InvalidParameterError, match="in use"):
        store.storages.delete(storage.storage_id)
    store.configs.delete(config.backup_id)
    store.storages.delete(storage.storage_id)
    store.ssh_ids.delete(key.ssh_id_id)
    assert not (store.ssh_ids.list() or store.storages.list() or store.configs.list())


def test_a_reference_to_nothing_is_refused(store: Store) -> None:
    with pytest.raises(NoSuchEntityError, match="SSH id 5"):
        store.storages.add(server(5))
    with pytest.raises(NoSuchEntityError, match="storage 5"):
        store.configs.add(BackupConfig("etc", 5))
    assert not (store.storages.list() or store.configs.list())


def test_a_storage_does_not_change_its_type(store: Store) -> None:
    key, bucket = store.ssh_ids.add(KEY), store.storages.add(BUCKET)
    with pytest.raises(InvalidParameterError, match="another type"):
        store.storages.update(replace(server(key.ssh_id_id), storage_id=bucket.storage_id))
    assert store.storages.list() == [bucket]


def test_the_id_of_a_deleted_row_is_never_used_again(open_store: Callable[..., Store]) -> None:
    with open_store() as store:
        store.storages.add(BUCKET)
        second = store.storages.add(replace(BUCKET, storage_name="second"))
        store.storages.delete(second.storage_id)
    with open_store() as store:
        assert store.storages.add(replace(BUCKET, storage_name="third")).storage_id == 3


def test_text_that_is_no_unicode_is_refused_without_showing_it(store: Store) -> None:
    with pytest.raises(InvalidParameterError) as refused:
        store.storages.add(replace(BUCKET, prefix="planted\udcff"))
    assert "planted" not in str(refused.value)
    assert store.storages.list() == []


def _paths() -> st.SearchStrategy[tuple[str, ...]]:
    """Paths of any bytes, as Python spells undecodable ones."""
    path = st.binary(min_size=1, max_size=12).map(lambda name: "/" + name.decode("utf-8", "surrogateescape"))
    return st.lists(path, max_size=3).map(tuple)


_texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
_hours = st.lists(st.integers(0, 23), max_size=4).map(tuple)
_schedules = st.builds(Schedule, st.sampled_from(PERIODS), st.integers(1, 40), _hours, _hours, _hours)
_configs = st.builds(
    BackupConfig,
    backup_name=_texts,
    storage_id=st.just(1),
    encryption_key=_texts.map(Secret),
    full=_schedules,
    inc=_schedules,
    paths=_paths(),
    excludes=_paths(),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_configs)
def test_any_configuration_comes_back_as_it_was(store: Store, config: BackupConfig) -> None:
    if not store.storages.list():
        store.storages.add(BUCKET)
    added = store.configs.add(config)
    assert store.configs.get(added.backup_id) == replace(config, backup_id=added.backup_id)
    store.configs.delete(added.backup_id)
