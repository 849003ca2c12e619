# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens the state directory and gives its repositories."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType

from papi_backup.model.secret import Secret
from papi_backup.model.storage import SshStorage, StorageAccess, StorageConfig
from papi_backup.state import files
from papi_backup.state.accounts import Accounts
from papi_backup.state.chain_keys import ChainKeys
from papi_backup.state.configs import Configs
from papi_backup.state.database import (
    Database,
    ForeignKeyViolationError,
    StateError,
    UniqueViolationError,
)
from papi_backup.state.high_water import HighWater
from papi_backup.state.instance import instance_id
from papi_backup.state.instants import utcnow
from papi_backup.state.jobs import Jobs
from papi_backup.state.login_addresses import LoginAddresses
from papi_backup.state.passwords import DEFAULT_COST, ScryptCost
from papi_backup.state.schedule_state import ScheduleState
from papi_backup.state.schema import MIGRATIONS, Migration, migrate, refuse_newer, version_of
from papi_backup.state.sealing import Cell, Sealer
from papi_backup.state.sessions import Sessions
from papi_backup.state.spoilt_rows import SpoiltRows
from papi_backup.state.ssh_ids import SshIds
from papi_backup.state.storages import Storages
from papi_backup.state.tokens import ApiTokens
from papi_backup.state.unsettled import UnsettledJobs

MACHINE_ID = Path("/etc/machine-id")
COPIES = 2
"""Copies of the state that are kept, each from before a migration."""

_SQLITE_HEADER = b"SQLite format 3\0"
_KEY_CHECK = Cell("meta", "value", "key_check")
_KEY_CHECK_TEXT = Secret("papi-backup")


class Store:
    """The agent's state.  Use :meth:`open`; its repositories may be called from any thread."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        *,
        clock: Callable[[], datetime],
        machine_id_path: Path,
        session_idle: timedelta,
        password_cost: ScryptCost,
    ) -> None:
        """Put the repositories on an open, migrated database."""
        self._database = database
        self._claim: int | None = None
        self.instance_id = instance_id(database, machine_id_path)
        spoilt = SpoiltRows(database)
        self.ssh_ids = SshIds(database, sealer)
        self.storages = Storages(database, sealer)
        self.configs = Configs(database, sealer)
        self.jobs = Jobs(database, sealer, clock, spoilt)
        self.accounts = Accounts(database, password_cost, spoilt)
        self.tokens = ApiTokens(database, clock, spoilt)
        self.login_addresses = LoginAddresses(database, clock)
        self.sessions = Sessions(database, clock, session_idle, spoilt)
        self.chain_keys = ChainKeys(database, sealer, spoilt)
        self.high_water = HighWater(database, sealer, spoilt)
        self.schedule_state = ScheduleState(database, spoilt)
        self.unsettled_jobs = UnsettledJobs(database, spoilt)

    @classmethod
    def open(
        cls,
        state_dir: Path,
        clock: Callable[[], datetime] = utcnow,
        *,
        machine_id_path: Path = MACHINE_ID,
        environment: Mapping[str, str] | None = None,
        session_idle_seconds: int = 1800,
        password_cost: ScryptCost = DEFAULT_COST,
        migrations: Sequence[Migration] = MIGRATIONS,
    ) -> Store:
        """Open the state in ``state_dir``, making or migrating it as needed.

        ``environment`` (default: the process') is asked for ``CREDENTIALS_DIRECTORY``.
        Raises :class:`StateError` for a directory or file that cannot be used, a damaged database (which is
        left as it is), one of a newer program, and a state key that is not the one it was made with.
        """
        environment = os.environ if environment is None else environment
        files.prepare_directory(state_dir)
        with files.locked(state_dir, "open.lock"):
            path = state_dir / files.DATABASE
            had_key = files.has_key(state_dir, environment)
            sealer = Sealer(files.state_key(state_dir, environment))
            if not path.exists():
                is_lost = had_key and not files.take_word_of_new_state(state_dir)
                _create(path, sealer, migrations, is_lost=is_lost)
            files.make_private(path)
            database = _open_existing(path, migrations)
            try:
                _check_key(database, sealer)
                return cls(
                    database,
                    sealer,
                    clock=clock,
                    machine_id_path=machine_id_path,
                    session_idle=timedelta(seconds=session_idle_seconds),
                    password_cost=password_cost,
                )
            except BaseException:
                database.close()
                raise

    @property
    def is_lost(self) -> bool:
        """Whether this state was made anew beside a key that was there, and had no configuration since.

        The state before it is gone then, unless somebody put the key on a host that never had one.
        """
        row = self._database.row("SELECT 1 FROM meta WHERE name = 'lost'")
        return row is not None and self._database.next_id("configs") == 1

    def transaction(self, *, durable: bool = True) -> AbstractContextManager[None]:
        """Make several repository calls one atomic step, which a loss of power leaves if it is durable."""
        return self._database.transaction(durable=durable)

    def access_to(self, storage: StorageConfig) -> StorageAccess:
        """Return all that another process needs to open ``storage``.

        Raises :class:`NoSuchEntityError` when its SSH id is gone.
        """
        if isinstance(storage, SshStorage):
            return StorageAccess(storage, self.ssh_ids.get(storage.ssh_id_id))
        return StorageAccess(storage)

    def undisturbed(self) -> AbstractContextManager[None]:
        """Read several things as they are at one moment.

        Threads of this process wait.  Other processes change accounts and tokens alone, which nothing else
        refers to.
        """
        return self._database.undisturbed()

    def claim(self) -> None:
        """Make this process the one agent of the state until :meth:`close`.

        Raises :class:`StateError` when another process is; commands that only change rows need no claim.
        """
        if self._claim is None:
            self._claim = files.try_lock(self._database.path.parent, "agent.lock")
        if self._claim is None:
            raise StateError(f"another agent runs on the state in {self._database.path.parent}")

    def close(self) -> None:
        """Close the database and give up the claim; the store cannot be used afterwards."""
        self._database.close()
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _create(path: Path, sealer: Sealer, migrations: Sequence[Migration], *, is_lost: bool) -> None:
    """Make the database under another name first: a crash leaves no half; an empty file is damage."""
    if path.with_name(path.name + "-wal").exists():
        raise StateError(
            f"{path} is missing but its write-ahead log is there: put the database back, or move the log away"
        )
    with files.new_private_file(path) as draft:
        database = Database(draft)
        try:
            migrate(database, migrations)
            database.execute(
                "INSERT INTO meta (name, value) VALUES ('key_check', ?)",
                (sealer.seal(_KEY_CHECK_TEXT, _KEY_CHECK),),
            )
            if is_lost:
                database.execute("INSERT INTO meta (name, value) VALUES ('lost', x'')")
        finally:
            database.close()


def _open_existing(path: Path, migrations: Sequence[Migration]) -> Database:
    with path.open("rb") as file:
        if file.read(len(_SQLITE_HEADER)) != _SQLITE_HEADER:
            raise StateError(
                f"{path} is no SQLite database: put a good copy back, or move it away to start empty"
            )
    database = Database(path)
    try:
        refuse_newer(database, migrations)
        _refuse_damaged(database)
        database.configure()
        version = version_of(database)
        if version < len(migrations):
            _migrate_with_copy(database, path.with_name(f"{path.name}.version-{version}"), migrations)
    except BaseException:
        database.close()
        raise
    return database


def _migrate_with_copy(database: Database, copy: Path, migrations: Sequence[Migration]) -> None:
    """Migrate after the state as it is has been copied; an error names the copy.

    The last two copies are kept: of this version and of the one migrated from before.
    """
    try:
        with files.new_private_file(copy) as draft:
            database.copy_to(draft)
    except StateError as error:
        raise StateError(
            f"the state was not migrated, because no copy of it could be written to {copy}: {error.message}"
        ) from error
    try:
        migrate(database, migrations)
    except (StateError, UniqueViolationError, ForeignKeyViolationError) as error:
        raise StateError(
            f"the state cannot be migrated ({error}); a copy of the state as it was is {copy}"
        ) from error
    files.keep_newest_copies(copy.parent, COPIES)


def _refuse_damaged(database: Database) -> None:
    problems = [str(row[0]) for row in database.rows("PRAGMA quick_check(3)")]
    if problems != ["ok"]:
        raise StateError(
            f"the state database {database.path} is damaged ({'; '.join(problems)}):"
            " put a good copy back, or move it away to start empty"
        )


def _check_key(database: Database, sealer: Sealer) -> None:
    row = database.row("SELECT value FROM meta WHERE name = 'key_check'")
    if row is None:
        raise StateError(f"the state database {database.path} was not made by this agent")
    try:
        sealer.open(row["value"], _KEY_CHECK)
    except StateError as error:
        raise StateError(
            f"the state key is not the one that {database.path} was made with: put the right"
            f" {files.KEY_FILE} (or systemd credential {files.CREDENTIAL}) back"
        ) from error
