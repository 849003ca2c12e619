# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which installation a state belongs to, also after it was cloned."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from papi_backup.model.schedule import BackupConfig
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage
from papi_backup.state.database import StateError
from papi_backup.state.store import Store


def test_the_instance_id_is_sixteen_hex_digits_made_once(
    open_store: Callable[..., Store], caplog: pytest.LogCaptureFixture
) -> None:
    found = set()
    for _unused in range(3):
        with open_store() as store:
            found.add(store.instance_id)
    assert len(found) == 1
    assert re.fullmatch("[0-9a-f]{16}", found.pop())
    assert caplog.text == ""


def test_a_state_on_another_machine_takes_a_new_instance_id_once_and_keeps_the_rest(
    open_store: Callable[..., Store], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_store() as store:
        original = store.instance_id
        store.chain_keys.put("c1", Secret("chain key"))
    clone_machine = tmp_path / "clone-machine-id"
    clone_machine.write_text("fedcba9876543210fedcba9876543210\n")
    with caplog.at_level(logging.WARNING), open_store(machine_id_path=clone_machine) as store:
        clone = store.instance_id
        assert clone != original
        assert store.chain_keys.all() == (("c1", Secret("chain key")),)
    assert "cloned host" in caplog.text
    assert original in caplog.text
    caplog.clear()
    with open_store(machine_id_path=clone_machine) as store:
        assert store.instance_id == clone
    assert caplog.text == ""


def test_a_machine_without_a_machine_id_keeps_its_instance_and_learns_the_id_later(
    open_store: Callable[..., Store], tmp_path: Path
) -> None:
    late = tmp_path / "late-machine-id"
    with open_store(machine_id_path=late) as store:
        instance = store.instance_id
    late.write_text("fedcba9876543210fedcba9876543210\n")
    for _unused in range(2):
        with open_store(machine_id_path=late) as store:
            assert store.instance_id == instance
    late.unlink()
    with open_store(machine_id_path=late) as store:
        assert store.instance_id == instance
    with open_store() as store:
        assert store.instance_id != instance


def test_the_machine_id_itself_is_not_in_the_database(
    open_store: Callable[..., Store], tmp_path: Path
) -> None:
    open_store().close()
    assert b"0123456789abcdef0123456789abcdef" not in (tmp_path / "state/state.db").read_bytes()


def test_one_agent_at_a_time_claims_a_state_and_commands_may_still_open_it(
    open_store: Callable[..., Store],
) -> None:
    with open_store() as agent, open_store() as other:
        agent.claim()
        agent.claim()
        other.accounts.add("anna", "viewer", Secret("password"))
        assert [account.name for account in agent.accounts.list()] == ["anna"]
        with pytest.raises(StateError, match="another agent"):
            other.claim()
    with open_store() as next_agent:
        next_agent.claim()


class TestLost:
    """A state that is gone while its key is there."""

    def test_it_is_said_until_a_first_configuration_exists(
        self, open_store: Callable[..., Store], tmp_path: Path
    ) -> None:
        open_store().close()
        for path in (tmp_path / "state").glob("state.db*"):
            path.unlink()
        for _start in range(2):
            with open_store() as store:
                assert store.is_lost
        with open_store() as store:
            storage = store.storages.add(S3Storage("bucket", "id", Secret("secret"), "b", 32))
            config = store.configs.add(BackupConfig("etc", storage.storage_id))
            assert not store.is_lost
            store.configs.delete(config.backup_id)
            assert not store.is_lost

    def test_a_key_that_came_from_elsewhere_counts_as_well(
        self, open_store: Callable[..., Store], tmp_path: Path
    ) -> None:
        (tmp_path / "papi-backup-state-key").write_bytes(bytes(range(32)))
        with open_store(environment={"CREDENTIALS_DIRECTORY": str(tmp_path)}) as store:
            assert store.is_lost

    def test_a_host_without_a_key_never_had_one(self, open_store: Callable[..., Store]) -> None:
        with open_store() as store:
            assert not store.is_lost

    def test_whoever_installs_the_agent_may_say_once_that_a_new_state_is_right(
        self, open_store: Callable[..., Store], tmp_path: Path
    ) -> None:
        (tmp_path / "papi-backup-state-key").write_bytes(bytes(range(32)))
        (tmp_path / "state").mkdir(mode=0o700)
        (tmp_path / "state" / "new-state").touch()
        for lost in (False, True):
            with open_store(environment={"CREDENTIALS_DIRECTORY": str(tmp_path)}) as store:
                assert store.is_lost is lost
            for path in (tmp_path / "state").glob("state.db*"):
                path.unlink()
