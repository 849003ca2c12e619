# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets at rest: no file shows them, and only the right key in the right cell opens them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from papi_backup.model.account import Identity
from papi_backup.model.errors import InternalError
from papi_backup.model.job import Job, RestoreOptions
from papi_backup.model.schedule import BackupConfig
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage, SshId
from papi_backup.state.database import StateError
from papi_backup.state.jobs import JobRequest
from papi_backup.state.sealing import Cell, Sealer
from papi_backup.state.store import Store

KEY = b"k" * 32
CELL = Cell("configs", "encryption_key", "1")
PLANTED = {
    kind: f"planted-{kind}-secret"
    for kind in ("private-key", "aws", "encryption", "restore", "chain", "mark", "password")
}


def plant(store: Store) -> str:
    """Put a secret of every kind into the state; returns a session's token."""
    store.ssh_ids.add(SshId(0, "key", 256, "public", Secret(PLANTED["private-key"])))
    store.storages.add(S3Storage("bucket", "AKIA", Secret(PLANTED["aws"]), "backups", 64))
    store.configs.add(BackupConfig("etc", 1, Secret(PLANTED["encryption"])))
    now = datetime(2026, 3, 1, tzinfo=UTC)
    restore = RestoreOptions(1, "etc", now, "web1", Secret(PLANTED["restore"]))
    store.jobs.add(Job(0, "restore", "waiting", "etc", "full", now), JobRequest(restore=restore))
    store.chain_keys.put("c1", Secret(PLANTED["chain"]))
    store.high_water.put("ssh://a/b", "etc", PLANTED["mark"])
    account = store.accounts.add("anna", "administrator", Secret(PLANTED["password"]))
    assert store.accounts.verify("anna", Secret(PLANTED["password"])) == account
    return store.sessions.create(Identity(account.name, account.role))


def bytes_of(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(directory.iterdir()))


def test_no_file_of_the_state_shows_a_secret_while_open_or_closed(
    open_store: Callable[..., Store], tmp_path: Path
) -> None:
    with open_store() as store:
        token = plant(store)
        while_open = bytes_of(tmp_path / "state")
    afterwards = bytes_of(tmp_path / "state")
    assert b"bucket" in while_open  # the search finds what is not sealed
    assert b"bucket" in afterwards
    for secret in (*PLANTED.values(), token):
        assert secret.encode() not in while_open
        assert secret.encode() not in afterwards


def test_neither_reprs_nor_the_log_show_a_secret(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        plant(store)
        shown = " ".join(
            map(
                repr,
                (
                    store,
                    store.ssh_ids.list(),
                    store.storages.list(),
                    store.configs.list(),
                    store.jobs.next_waiting(()),
                    store.chain_keys.all(),
                    store.accounts.list(),
                    Sealer(KEY),
                ),
            )
        )
    for secret in PLANTED.values():
        assert secret not in shown + caplog.text


@given(st.text(), st.text())
def test_any_text_that_is_sealed_opens_in_its_own_cell(text: str, row: str) -> None:
    secret = Secret(text)
    cell = Cell("table", "column", row)
    sealed = Sealer(KEY).seal(secret, cell)
    assert Sealer(KEY).open(sealed, cell) == secret


def test_the_same_secret_is_sealed_differently_each_time() -> None:
    assert Sealer(KEY).seal(Secret("same"), CELL) != Sealer(KEY).seal(Secret("same"), CELL)


@pytest.mark.parametrize(
    "other",
    [
        Cell("storages", "encryption_key", "1"),
        Cell("configs", "paths", "1"),
        Cell("configs", "encryption_key", "2"),
        Cell("config", "sencryption_key", "1"),
        Cell("configs", "encryption_key1", ""),
    ],
)
def test_a_value_moved_to_another_cell_does_not_open(other: Cell) -> None:
    sealed = Sealer(KEY).seal(Secret("moved"), CELL)
    with pytest.raises(StateError, match=r"does not open") as refused:
        Sealer(KEY).open(sealed, other)
    assert "moved" not in str(refused.value)


def test_another_key_does_not_open_it() -> None:
    sealed = Sealer(KEY).seal(Secret("hidden"), CELL)
    with pytest.raises(StateError, match=r"configs.encryption_key of row 1"):
        Sealer(b"l" * 32).open(sealed, CELL)


def test_every_altered_byte_and_every_shortening_is_refused() -> None:
    sealed = Sealer(KEY).seal(Secret("hidden"), CELL)
    altered = [sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in range(len(sealed))]
    for wrong in (*altered, *(sealed[:size] for size in range(len(sealed)))):
        with pytest.raises(StateError):
            Sealer(KEY).open(wrong, CELL)


def test_a_key_too_short_to_be_one_is_refused() -> None:
    with pytest.raises(StateError, match=r"shorter than 16 bytes"):
        Sealer(b"short")


@pytest.mark.parametrize(
    ("table", "column", "read"),
    [
        ("configs", "encryption_key", lambda store: store.configs.list()),
        ("storages", "aws_secret_key", lambda store: store.storages.list()),
        ("ssh_ids", "private_key", lambda store: store.ssh_ids.list()),
    ],
)
def test_a_value_swapped_or_blanked_in_the_database_is_refused(
    store: Store, table: str, column: str, read: Callable[[Store], object]
) -> None:
    plant(store)
    read(store)
    foreign = Sealer(b"foreign key of 16").seal(Secret(""), CELL)
    for wrong in (b"", foreign):
        store._database.execute(f"UPDATE {table} SET {column} = ?", (wrong,))  # noqa: S608 - names above
        with pytest.raises(InternalError, match=f"{table}.{column}"):
            read(store)


@pytest.mark.parametrize(
    ("table", "column", "read", "nothing"),
    [
        ("chain_keys", "key", lambda store: store.chain_keys.all(), ()),
        ("high_water", "value", lambda store: store.high_water.get("ssh://a/b", "etc"), ""),
    ],
)
def test_a_value_that_can_be_done_without_is_not_believed_either(
    store: Store, table: str, column: str, read: Callable[[Store], object], nothing: object
) -> None:
    foreign = Sealer(b"foreign key of 16").seal(Secret(""), CELL)
    plant(store)
    assert read(store) != nothing
    for wrong in (b"", foreign):
        store._database.execute(f"UPDATE {table} SET {column} = ?", (wrong,))  # noqa: S608 - names above
        assert read(store) == nothing


def test_the_secrets_of_two_rows_cannot_be_exchanged(store: Store) -> None:
    plant(store)
    store.configs.add(BackupConfig("srv", 1, Secret("another")))
    store._database.execute(
        "UPDATE configs SET encryption_key = (SELECT encryption_key FROM configs WHERE backup_id = 2)"
        " WHERE backup_id = 1"
    )
    assert store.configs.get(2).encryption_key == Secret("another")
    with pytest.raises(StateError, match=r"configs.encryption_key of row 1"):
        store.configs.get(1)


def test_the_state_of_another_key_is_refused_when_it_is_opened(
    open_store: Callable[..., Store], tmp_path: Path
) -> None:
    open_store().close()
    key_file = tmp_path / "state/state.key"
    right = key_file.read_bytes()
    key_file.write_bytes(b"w" * 32)
    with pytest.raises(StateError, match=r"state key is not the one"):
        open_store()
    key_file.write_bytes(right)
    open_store().close()


def test_a_lost_key_file_is_not_replaced_under_a_database(
    open_store: Callable[..., Store], tmp_path: Path
) -> None:
    open_store().close()
    (tmp_path / "state/state.key").unlink()
    with pytest.raises(StateError, match=r"state.key is missing"):
        open_store()
    assert not (tmp_path / "state/state.key").exists()


def test_a_systemd_credential_takes_the_place_of_the_key_file(
    open_store: Callable[..., Store], tmp_path: Path
) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "papi-backup-state-key").write_bytes(b"a credential of enough bytes")
    environment = {"CREDENTIALS_DIRECTORY": str(credentials)}
    with open_store(environment=environment) as store:
        plant(store)
    assert not (tmp_path / "state/state.key").exists()
    with open_store(environment=environment) as store:
        assert store.configs.get(1).encryption_key == Secret(PLANTED["encryption"])
    with pytest.raises(StateError, match=r"state.key is missing"):
        open_store(environment={"CREDENTIALS_DIRECTORY": str(tmp_path)})
