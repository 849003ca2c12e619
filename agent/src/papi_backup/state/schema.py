# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables, as numbered migrations that are never edited once released."""

from __future__ import annotations

from collections.abc import Sequence

from papi_backup.state.database import Database, StateError

Migration = tuple[str, ...]
"""The statements that take the schema one version up; they run in one transaction."""

_CONFIGURATION_AND_JOBS: Migration = (
    """CREATE TABLE meta (
        name TEXT PRIMARY KEY NOT NULL,
        value BLOB NOT NULL
    )""",
    """CREATE TABLE ssh_ids (
        ssh_id_id INTEGER PRIMARY KEY AUTOINCREMENT,
        key_name TEXT NOT NULL UNIQUE,
        key_length INTEGER NOT NULL,
        public_key TEXT NOT NULL,
        private_key BLOB NOT NULL
    )""",
    """CREATE TABLE storages (
        storage_id INTEGER PRIMARY KEY AUTOINCREMENT,
        storage_name TEXT NOT NULL UNIQUE,
        type TEXT NOT NULL CHECK (type IN ('ssh', 's3')),
        server_name TEXT,
        ssh_port INTEGER,
        ssh_username TEXT,
        ssh_id_id INTEGER REFERENCES ssh_ids (ssh_id_id) ON DELETE RESTRICT,
        storage_base TEXT,
        host_key TEXT,
        aws_key_id TEXT,
        aws_secret_key BLOB,
        bucket_name TEXT,
        file_size INTEGER,
        endpoint_url TEXT,
        region TEXT,
        prefix TEXT,
        CHECK (type <> 'ssh' OR ssh_id_id IS NOT NULL),
        CHECK (type <> 's3' OR aws_secret_key IS NOT NULL)
    )""",
    "CREATE INDEX storages_by_ssh_id ON storages (ssh_id_id)",
    """CREATE TABLE configs (
        backup_id INTEGER PRIMARY KEY AUTOINCREMENT,
        backup_name TEXT NOT NULL UNIQUE,
        storage_id INTEGER NOT NULL REFERENCES storages (storage_id) ON DELETE RESTRICT,
        encryption_key BLOB NOT NULL,
        full_schedule TEXT NOT NULL,
        inc_schedule TEXT NOT NULL,
        paths TEXT NOT NULL,
        excludes TEXT NOT NULL
    )""",
    "CREATE INDEX configs_by_storage ON configs (storage_id)",
    # No reference to configs: the history of a backup outlives its configuration.
    """CREATE TABLE jobs (
        job_id INTEGER PRIMARY KEY AUTOINCREMENT,
        job_type TEXT NOT NULL CHECK (job_type IN ('backup', 'restore')),
        job_status TEXT NOT NULL CHECK (job_status IN ('waiting', 'running', 'success', 'failed')),
        backup_name TEXT NOT NULL,
        backup_type TEXT NOT NULL CHECK (backup_type IN ('full', 'inc')),
        start_date TEXT NOT NULL,
        end_date TEXT,
        description TEXT NOT NULL,
        error_code INTEGER NOT NULL,
        size_transferred INTEGER NOT NULL,
        backup_id INTEGER NOT NULL,
        request_id TEXT NOT NULL,
        files INTEGER NOT NULL,
        bytes_read INTEGER NOT NULL,
        bytes_stored INTEGER NOT NULL,
        warnings INTEGER NOT NULL,
        restore_options TEXT,
        restore_key BLOB
    )""",
    "CREATE INDEX jobs_by_status ON jobs (job_status, job_id)",
    "CREATE INDEX jobs_by_backup ON jobs (backup_name, job_type, backup_type, job_id)",
    "CREATE UNIQUE INDEX jobs_by_request ON jobs (request_id) WHERE request_id <> ''",
)

_ACCOUNTS_AND_CHAINS: Migration = (
    """CREATE TABLE accounts (
        name TEXT PRIMARY KEY NOT NULL,
        role TEXT NOT NULL CHECK (role IN ('administrator', 'viewer')),
        created INTEGER NOT NULL UNIQUE,
        salt BLOB NOT NULL,
        hash BLOB NOT NULL,
        scrypt_n INTEGER NOT NULL,
        scrypt_r INTEGER NOT NULL,
        scrypt_p INTEGER NOT NULL
    )""",
    # No reference to accounts: a peer of the unix socket has a session without one.
    """CREATE TABLE sessions (
        token_hash BLOB PRIMARY KEY NOT NULL,
        name TEXT NOT NULL,
        role TEXT NOT NULL CHECK (role IN ('administrator', 'viewer')),
        last_seen TEXT NOT NULL
    )""",
    "CREATE INDEX sessions_by_name ON sessions (name, last_seen)",
    "CREATE INDEX sessions_by_age ON sessions (last_seen)",
    """CREATE TABLE chain_keys (
        chain TEXT PRIMARY KEY NOT NULL,
        key BLOB NOT NULL
    )""",
    """CREATE TABLE high_water (
        location TEXT NOT NULL,
        backup_name TEXT NOT NULL,
        value BLOB NOT NULL,
        PRIMARY KEY (location, backup_name)
    )""",
    """CREATE TABLE schedule_state (
        backup_id INTEGER NOT NULL REFERENCES configs (backup_id) ON DELETE CASCADE,
        backup_type TEXT NOT NULL CHECK (backup_type IN ('full', 'inc')),
        last_run TEXT NOT NULL,
        PRIMARY KEY (backup_id, backup_type)
    )""",
)

_ENTRIES_CHANGED: Migration = ("ALTER TABLE jobs ADD COLUMN entries_changed INTEGER NOT NULL DEFAULT 0",)

_API_TOKENS: Migration = (
    # A name is an account's or a token's, never both: sessions are ended by name.
    """CREATE TABLE api_tokens (
        name TEXT PRIMARY KEY NOT NULL,
        role TEXT NOT NULL CHECK (role IN ('administrator', 'viewer')),
        created TEXT NOT NULL,
        last_used TEXT,
        token_hash BLOB NOT NULL
    )""",
)

_LOGIN_ADDRESSES: Migration = (
    """CREATE TABLE login_addresses (
        name TEXT NOT NULL,
        address TEXT NOT NULL,
        last_login TEXT NOT NULL,
        PRIMARY KEY (name, address)
    )""",
    "CREATE INDEX login_addresses_by_address ON login_addresses (address, last_login)",
)

_AFTER_A_CRASH: Migration = (
    """CREATE TABLE unsettled_jobs (
        job_id INTEGER PRIMARY KEY NOT NULL REFERENCES jobs (job_id) ON DELETE CASCADE,
        backup TEXT NOT NULL,
        storage_id INTEGER NOT NULL,
        location TEXT NOT NULL
    )""",
    """CREATE TABLE set_aside (
        table_name TEXT NOT NULL,
        content TEXT NOT NULL,
        noticed TEXT NOT NULL
    )""",
)

MIGRATIONS: tuple[Migration, ...] = (
    _CONFIGURATION_AND_JOBS,
    _ACCOUNTS_AND_CHAINS,
    _ENTRIES_CHANGED,
    _API_TOKENS,
    _LOGIN_ADDRESSES,
    _AFTER_A_CRASH,
)
"""``MIGRATIONS[n]`` takes version n to version n + 1."""


def version_of(database: Database) -> int:
    """Return the schema version of the file (0 = empty)."""
    row = database.row("PRAGMA user_version")
    return int(row[0]) if row else 0


def refuse_newer(database: Database, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Raise :class:`StateError` when a later program wrote the file: its rows could mean something else."""
    version = version_of(database)
    if version > len(migrations):
        raise StateError(
            f"the state database {database.path} has version {version}, this program knows versions up to"
            f" {len(migrations)}: install the version of the agent that wrote it, or a newer one"
        )


def migrate(database: Database, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring the file to the newest version, one transaction a version; a failed one changes nothing."""
    for version in range(version_of(database), len(migrations)):
        with database.transaction():
            for statement in migrations[version]:
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {version + 1}")
