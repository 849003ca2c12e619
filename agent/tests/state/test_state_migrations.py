# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening what is there: nothing, an older version, a newer one, and what is no database at all."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from papi_backup.model.schedule import BackupConfig
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage
from papi_backup.state.database import StateError
from papi_backup.state.schema import MIGRATIONS
from papi_backup.state.store import Store

BUCKET = S3Storage("bucket", "AKIA", Secret("aws"), "backups", 64)


def version_of(database: Path) -> int:
    connection = sqlite3.connect(database)
    try:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()


def schema_of(database: Path) -> list[tuple[str, str]]:
    connection = sqlite3.connect(database)
    try:
        return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    finally:
        connection.close()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_an_empty_directory_becomes_a_state_of_the_newest_version_that_others_cannot_read(
    open_store: Callable[..., Store], state: Path
) -> None:
    with open_store() as store:
        store.storages.add(BUCKET)
        modes = {path.name: path.stat().st_mode & 0o777 for path in state.iterdir()}
        assert state.stat().st_mode & 0o777 == 0o700
        assert set(modes) >= {"state.db", "state.db-wal", "state.key"}
        assert set(modes.values()) == {0o600}
        settings = {
            name: store._database.rows(f"PRAGMA {name}")[0][0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}
    assert version_of(state / "state.db") == len(MIGRATIONS)
    assert not list(state.glob("*.new*"))


def test_a_version_1_file_is_migrated_with_its_rows_and_a_copy_of_it_stays(
    open_store: Callable[..., Store], state: Path
) -> None:
    with open_store(migrations=MIGRATIONS[:1]) as old:
        storage = old.storages.add(BUCKET)
        config = old.configs.add(BackupConfig("etc", storage.storage_id, Secret("passphrase")))
        instance = old.instance_id
    assert version_of(state / "state.db") == 1
    with open_store() as store:
        assert store.instance_id == instance
        assert store.configs.list() == [config]
        store.accounts.add("anna", "viewer", Secret("password"))
    assert version_of(state / "state.db") == len(MIGRATIONS)
    copy = state / "state.db.version-1"
    assert version_of(copy) == 1
    assert copy.stat().st_mode & 0o777 == 0o600
    copy.replace(state / "state.db")
    with open_store(migrations=MIGRATIONS[:1]) as restored:
        assert restored.configs.list() == [config]


def test_only_the_copies_from_before_the_last_two_migrations_stay(
    open_store: Callable[..., Store], state: Path
) -> None:
    for version in range(1, len(MIGRATIONS) + 1):
        open_store(migrations=MIGRATIONS[:version]).close()
    newest = len(MIGRATIONS)
    copies = {f"state.db.version-{version}" for version in (newest - 2, newest - 1)}
    assert {path.name for path in state.glob("state.db.version-*")} == copies
    assert [version_of(state / name) for name in sorted(copies)] == [newest - 2, newest - 1]


def test_what_is_in_the_write_ahead_log_alone_is_in_the_copy(
    open_store: Callable[..., Store], state: Path
) -> None:
    with open_store(migrations=MIGRATIONS[:1]) as old:
        old.storages.add(BUCKET)
        # The log is not folded into the file while somebody has it open, as after a crash.
        open_store().close()
    copy = sqlite3.connect(state / "state.db.version-1")
    assert copy.execute("SELECT storage_name FROM storages").fetchall() == [("bucket",)]
    copy.close()


def test_where_no_copy_can_be_written_nothing_is_migrated_and_the_error_names_it(
    open_store: Callable[..., Store], state: Path
) -> None:
    open_store(migrations=MIGRATIONS[:1]).close()
    (state / "state.db.version-1").mkdir()
    with pytest.raises(StateError, match=f"not migrated.* written to {state}/state.db.version-1"):
        open_store()
    assert version_of(state / "state.db") == 1


def test_migrating_step_by_step_makes_the_same_schema_as_starting_new(
    open_store: Callable[..., Store], state: Path
) -> None:
    for version in range(1, len(MIGRATIONS) + 1):
        open_store(migrations=MIGRATIONS[:version]).close()
    stepwise = schema_of(state / "state.db")
    for path in state.iterdir():
        path.unlink()
    open_store().close()
    assert schema_of(state / "state.db") == stepwise


def test_a_migration_that_fails_changes_nothing(open_store: Callable[..., Store], state: Path) -> None:
    with open_store() as store:
        store.storages.add(BUCKET)
    broken = (
        *MIGRATIONS,
        ("CREATE TABLE half (a)", "DELETE FROM storages", "INSERT INTO nowhere VALUES (1)"),
    )
    copy = state / f"state.db.version-{len(MIGRATIONS)}"
    with pytest.raises(StateError, match=f"no such table: nowhere.*a copy of the state as it was is {copy}"):
        open_store(migrations=broken)
    assert version_of(copy) == len(MIGRATIONS)
    assert copy.stat().st_mode & 0o777 == 0o600
    assert version_of(state / "state.db") == len(MIGRATIONS)
    with open_store() as store:
        assert [storage.storage_name for storage in store.storages.list()] == ["bucket"]
        assert store._database.rows("SELECT * FROM sqlite_master WHERE name = 'half'") == []


def test_a_database_of_a_newer_program_is_refused_and_left_alone(
    open_store: Callable[..., Store], state: Path
) -> None:
    newer = (*MIGRATIONS, ("CREATE TABLE tomorrow (a)",))
    open_store(migrations=newer).close()
    before = (state / "state.db").read_bytes()
    with pytest.raises(StateError, match=f"has version {len(newer)}.*versions up to {len(MIGRATIONS)}"):
        open_store()
    assert (state / "state.db").read_bytes() == before


def _cut_to(size: int) -> Callable[[bytes], bytes]:
    return lambda content: content[:size]


def _page_of_noise(content: bytes) -> bytes:
    return content[:4096] + os.urandom(4096) + content[8192:]


@pytest.mark.parametrize(
    "damage",
    [
        _cut_to(0),
        lambda content: b"this is no database at all " * (len(content) // 20),
        _cut_to(50),
        _cut_to(4096),
        _cut_to(20000),
        _page_of_noise,
        lambda content: bytes(len(content)),
    ],
    ids=["empty", "text", "50 bytes", "one page", "cut", "noise", "zeroes"],
)
def test_a_damaged_database_is_refused_by_name_and_not_overwritten(
    open_store: Callable[..., Store], state: Path, damage: Callable[[bytes], bytes]
) -> None:
    with open_store() as store:
        store.storages.add(BUCKET)
    path = state / "state.db"
    path.write_bytes(damage(path.read_bytes()))
    damaged = path.read_bytes()
    with pytest.raises(StateError, match=r"state.db"):
        open_store()
    assert path.read_bytes() == damaged


def test_a_write_ahead_log_without_its_database_is_not_played_into_a_new_one(
    open_store: Callable[..., Store], state: Path
) -> None:
    with open_store() as store:
        store.storages.add(BUCKET)
        log = (state / "state.db-wal").read_bytes()
    (state / "state.db").unlink()
    (state / "state.db-wal").write_bytes(log)
    with pytest.raises(StateError, match="write-ahead log"):
        open_store()
    assert not (state / "state.db").exists()


def test_a_database_of_some_other_program_is_refused(open_store: Callable[..., Store], state: Path) -> None:
    open_store().close()
    (state / "state.db").unlink()
    foreign = sqlite3.connect(state / "state.db")
    foreign.execute("CREATE TABLE meta (name TEXT, value BLOB)")
    foreign.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    foreign.commit()
    foreign.close()
    with pytest.raises(StateError, match="not made by this agent"):
        open_store()


def test_what_a_crash_left_of_a_new_database_is_no_obstacle(
    open_store: Callable[..., Store], state: Path
) -> None:
    state.mkdir(mode=0o700)
    (state / "state.db.new").write_bytes(b"half")
    (state / "state.db.new-journal").write_bytes(b"half")
    open_store().close()
    assert not list(state.glob("*.new*"))


def test_access_that_others_were_given_is_taken_away_with_a_warning(
    open_store: Callable[..., Store], state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    open_store().close()
    for name in ("state.db", "state.key"):
        (state / name).chmod(0o644)
    with caplog.at_level(logging.WARNING):
        open_store().close()
    for name in ("state.db", "state.key"):
        assert (state / name).stat().st_mode & 0o777 == 0o600
        assert f"{name} had mode 0644" in caplog.text


def test_a_directory_in_which_others_may_write_is_refused(
    open_store: Callable[..., Store], state: Path
) -> None:
    state.mkdir()
    (state / "something else").write_text("")
    state.chmod(0o777)
    with pytest.raises(StateError, match="chmod 700"):
        open_store()
    assert not (state / "state.db").exists()


def test_a_state_directory_that_cannot_be_made_is_an_error_in_words(
    open_store: Callable[..., Store], state: Path
) -> None:
    state.write_text("a file is in the way")
    with pytest.raises(StateError, match=f"state directory {state}"):
        open_store()
