# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chain keys, high-water marks and the schedule's memory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from papi_backup.model.errors import NoSuchEntityError
from papi_backup.model.schedule import BackupConfig
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage
from papi_backup.state.store import Store

DUE = datetime(2026, 3, 1, 3, 17, tzinfo=timezone(timedelta(hours=1)))


@pytest.fixture
def backup_id(store: Store) -> int:
    storage = store.storages.add(S3Storage("bucket", "AKIA", Secret("aws"), "backups", 64))
    return store.configs.add(BackupConfig("etc", storage.storage_id)).backup_id


def test_chain_keys_are_remembered_and_the_latest_holds(open_store: Callable[..., Store]) -> None:
    with open_store() as store:
        assert store.chain_keys.all() == ()
        store.chain_keys.put("b" * 16, Secret("first"))
        store.chain_keys.put("a" * 16, Secret("second"))
        store.chain_keys.put("b" * 16, Secret("third"))
    with open_store() as store:
        assert store.chain_keys.all() == (("a" * 16, Secret("second")), ("b" * 16, Secret("third")))


def test_a_high_water_mark_belongs_to_a_location_and_a_backup(store: Store) -> None:
    store.high_water.put("ssh://u@h:22/b", "etc", "7 20260301")
    store.high_water.put("ssh://u@h:22/b", "srv", "2 20260201")
    store.high_water.put("ssh://u@h:22/b", "etc", "8 20260302")
    assert store.high_water.get("ssh://u@h:22/b", "etc") == "8 20260302"
    assert store.high_water.get("ssh://u@h:22/b", "srv") == "2 20260201"
    assert store.high_water.get("ssh://u@h:22/c", "etc") == ""


def test_the_last_run_of_each_type_is_remembered_as_an_instant(store: Store, backup_id: int) -> None:
    assert store.schedule_state.last_run(backup_id, "full") is None
    store.schedule_state.set_last_run(backup_id, "full", DUE)
    store.schedule_state.set_last_run(backup_id, "inc", DUE + timedelta(hours=1))
    store.schedule_state.set_last_run(backup_id, "full", DUE + timedelta(hours=2))
    last = store.schedule_state.last_run(backup_id, "full")
    assert last == DUE + timedelta(hours=2)
    assert last is not None
    assert last.tzinfo is UTC
    assert store.schedule_state.last_run(backup_id, "inc") == DUE + timedelta(hours=1)


def test_the_schedules_memory_goes_with_its_configuration(store: Store, backup_id: int) -> None:
    store.schedule_state.set_last_run(backup_id, "full", DUE)
    store.configs.delete(backup_id)
    assert store.schedule_state.last_run(backup_id, "full") is None
    with pytest.raises(NoSuchEntityError, match=str(backup_id)):
        store.schedule_state.set_last_run(backup_id, "full", DUE)
