# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One spoilt row of a table that backups can do without is set aside, logged, and done without."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from papi_backup.model.account import Identity
from papi_backup.model.errors import NoSuchEntityError
from papi_backup.model.job import Job, JobResult
from papi_backup.model.schedule import BackupConfig
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage
from papi_backup.state.database import UniqueViolationError
from papi_backup.state.jobs import JobRequest
from papi_backup.state.spoilt_rows import MOST_KEPT
from papi_backup.state.store import Store
from papi_backup.state.unsettled import Unsettled

NEEDED = {"ssh_ids", "storages", "configs", "meta"}
"""Nothing can stand in for a row of these.  Of ``meta`` see the last class."""

DONE_WITHOUT = {
    "jobs",
    "accounts",
    "sessions",
    "api_tokens",
    "chain_keys",
    "high_water",
    "schedule_state",
    "unsettled_jobs",
    "login_addresses",
    "set_aside",
}

SPOILT = {
    "text": "'garbage'",
    "bytes": "x'00ff01'",
    "number": "-7",
    "no Unicode": "CAST(x'ff' AS TEXT)",
    "a date without a zone": "'2026-01-01'",
    "an empty text": "''",
}
LOCATION = "s3://bucket"
RESULT = JobResult("done", "full", 1, 2, 3, 4)


def fill(store: Store) -> str:
    """Put a row into each table; returns the token of a session."""
    storage = store.storages.add(S3Storage("bucket", "id", Secret("s3 secret"), "b", 32))
    config = store.configs.add(BackupConfig("etc", storage.storage_id, paths=("/etc",)))
    job = store.jobs.add(
        Job(0, "backup", "waiting", "etc", "full", datetime(2026, 1, 1, tzinfo=UTC), request_id="r1"),
        JobRequest(config.backup_id),
    )
    store.jobs.finish(job.job_id, RESULT)
    store.unsettled_jobs.put(Unsettled(job.job_id, "aa", storage.storage_id, LOCATION))
    store.accounts.add("admin", "administrator", Secret("a password"))
    store.tokens.add("robot", "viewer")
    store.chain_keys.put("c1", Secret("key"))
    store.high_water.put(LOCATION, "etc", "mark")
    store.schedule_state.set_last_run(config.backup_id, "full", datetime(2026, 1, 1, tzinfo=UTC))
    store.login_addresses.note("admin", "192.0.2.1")
    return store.sessions.create(Identity("admin", "administrator"))


def use(store: Store, token: str) -> None:
    """Do with every table what an agent does: list, look up, run a job, tidy up."""
    store.chain_keys.all()
    store.chain_keys.put("c1", Secret("key"))
    store.high_water.get(LOCATION, "etc")
    store.high_water.put(LOCATION, "etc", "mark")
    (config,) = store.configs.list()
    store.schedule_state.last_run(config.backup_id, "full")
    store.schedule_state.set_last_run(config.backup_id, "full", datetime.now(UTC))
    store.unsettled_jobs.all()
    store.accounts.list()
    store.accounts.verify("admin", Secret("a password"))
    store.tokens.list()
    store.tokens.verify("robot", Secret("another"))
    store.login_addresses.knows("192.0.2.1")
    store.login_addresses.note("admin", "192.0.2.1")
    store.sessions.get(token)
    store.sessions.create(Identity("admin", "administrator"))
    store.jobs.prune(1, 1)
    store.jobs.last("etc", "full")
    store.jobs.last_success("etc", "full")
    waiting = Job(0, "backup", "waiting", "etc", "full", datetime.now(UTC))
    job = store.jobs.add(waiting, JobRequest(config.backup_id))
    found = store.jobs.next_waiting(())
    assert found is not None
    assert found[0].job_id == job.job_id
    store.jobs.start(job.job_id)
    assert [running.job_id for running in store.jobs.running()] == [job.job_id]
    store.jobs.finish(job.job_id, RESULT)
    store.jobs.list()
    store.jobs.prune(1, 1)


def spoil(store: Store, table: str, column: str, value: str) -> bool:
    """Change all rows behind the agent's back; false where a rule of the schema refuses the value."""
    try:
        store._database.execute(f"UPDATE {table} SET {column} = {value}")  # noqa: S608 (of this file)
    except (sqlite3.IntegrityError, UniqueViolationError):
        return False
    return True


def columns(store: Store) -> list[tuple[str, str]]:
    return [
        (table, row["name"])
        for table in sorted(DONE_WITHOUT - {"set_aside"})
        for row in store._database.rows(f"PRAGMA table_info({table})")
    ]


class UndoneError(Exception):
    """Ends a transaction whose changes are not to stay."""


def test_every_table_is_known_to_be_needed_or_done_without(store: Store) -> None:
    tables = store._database.rows("SELECT name FROM sqlite_master WHERE type = 'table'")
    assert {row["name"] for row in tables} - {"sqlite_sequence"} == NEEDED | DONE_WITHOUT


@pytest.mark.parametrize("value", SPOILT.values(), ids=SPOILT)
def test_no_value_in_any_column_keeps_an_agent_from_its_work(store: Store, value: str) -> None:
    token = fill(store)
    store._database.execute("PRAGMA foreign_keys = OFF")
    spoilt = 0
    for table, column in columns(store):
        with suppress(UndoneError), store.transaction():
            if spoil(store, table, column, value):
                spoilt += 1
                use(store, token)
            raise UndoneError
    assert spoilt > 20


UNREADABLE = [
    ("chain_keys", "key", "x'00ff01'"),
    ("chain_keys", "key", "'garbage'"),
    ("chain_keys", "chain", "'c2'"),
    ("high_water", "value", "x'00ff01'"),
    ("schedule_state", "last_run", "'yesterday'"),
    ("unsettled_jobs", "location", "x'ff'"),
    ("jobs", "end_date", "'yesterday'"),
    ("jobs", "description", "CAST(x'ff' AS TEXT)"),
    ("api_tokens", "created", "'yesterday'"),
    ("accounts", "salt", "'garbage'"),
    ("sessions", "last_seen", "'yesterday'"),
]


@pytest.mark.parametrize(("table", "column", "value"), UNREADABLE)
def test_the_row_is_set_aside_once_and_the_log_says_which(
    store: Store, caplog: pytest.LogCaptureFixture, *, table: str, column: str, value: str
) -> None:
    token = fill(store)
    assert spoil(store, table, column, value)
    for _time in range(2):
        use(store, token)
    aside = store._database.rows("SELECT * FROM set_aside")
    assert [row["table_name"] for row in aside] == [table]
    (told,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert f"of the table {table} in " in told.message
    assert "it is set aside, and done without" in told.message


def test_a_job_that_is_set_aside_is_one_that_there_is_not(store: Store) -> None:
    fill(store)
    job = store.jobs.list()[0]
    spoil(store, "jobs", "start_date", "'yesterday'")
    with pytest.raises(NoSuchEntityError):
        store.jobs.get(job.job_id)


def test_only_the_newest_rows_that_were_set_aside_are_kept(store: Store) -> None:
    for number in range(MOST_KEPT + 5):
        store.chain_keys.put(f"{number:03}", Secret("key"))
    spoil(store, "chain_keys", "key", "x'00'")
    assert store.chain_keys.all() == ()
    kept = store._database.rows("SELECT content FROM set_aside ORDER BY rowid")
    assert len(kept) == MOST_KEPT
    assert kept[-1]["content"] == f'{{"chain": "{MOST_KEPT + 4}", "key": "00"}}'


class TestWhatTheInstallationIs:
    """The rows ``instance_id`` and ``machine`` of ``meta`` can be made anew; ``key_check`` cannot."""

    @pytest.mark.parametrize("value", ["'garbage'", "x'00ff'", "7"])
    def test_an_instance_id_that_cannot_be_read_is_made_anew(
        self, open_store: Callable[..., Store], value: str
    ) -> None:
        with open_store() as store:
            before = store.instance_id
            assert spoil(store, "meta", "value", f"CASE name WHEN 'instance_id' THEN {value} ELSE value END")
        with open_store() as store:
            assert store.instance_id != before
            assert len(bytes.fromhex(store.instance_id)) == 8

    @pytest.mark.parametrize("value", ["'garbage'", "x'00ff'", "7"])
    def test_a_machine_that_cannot_be_read_is_this_one(
        self, open_store: Callable[..., Store], value: str
    ) -> None:
        with open_store() as store:
            before = store.instance_id
            assert spoil(store, "meta", "value", f"CASE name WHEN 'machine' THEN {value} ELSE value END")
        with open_store() as store:
            assert store.instance_id == before
