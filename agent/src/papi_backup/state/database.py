# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One SQLite connection shared by threads, and its errors in words a person can act on."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from papi_backup.model.errors import InternalError, InvalidParameterError
from papi_backup.state.room import lacks_room, no_space

Value = str | int | bytes | None
Values = Sequence[Value] | Mapping[str, Value]
BUSY_SECONDS = 15.0
_DURABLE = "FULL"

# What SQLite raises beside them is about the file: unreadable, locked, full, no database at all.
_OUR_MISTAKES = (
    sqlite3.ProgrammingError,
    sqlite3.DataError,
    sqlite3.InternalError,
    sqlite3.NotSupportedError,
)


class StateError(InternalError):
    """The state on disk cannot be opened, read or written; the message names the file and what to do."""


class UniqueViolationError(Exception):
    """A row with that unique value exists; repositories turn it into words."""


class ForeignKeyViolationError(Exception):
    """A row refers to, or is referred to by, another; repositories turn it into words."""


class Database:
    """A connection with a lock around it.

    Every method may be called from any thread.  A statement outside :meth:`transaction` is a
    transaction of its own; nested transactions join the outermost, so a caller may make several
    repository calls one atomic step.
    """

    def __init__(self, path: Path) -> None:
        """Open the existing file ``path``.

        Raises :class:`StateError` when SQLite cannot open it.
        """
        self.path = path
        self._lock = threading.RLock()
        self._depth = 0
        with self._errors():
            # "rw", never "rwc": a file that is not there must not be made in passing.
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=rw",
                uri=True,
                timeout=BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
        self._connection.row_factory = sqlite3.Row

    def configure(self) -> None:
        """Set what must hold on every connection: durable commits, checked references, erased deletions."""
        for pragma in (
            "journal_mode=WAL",
            f"synchronous={_DURABLE}",
            "foreign_keys=ON",
            "secure_delete=ON",
            "trusted_schema=OFF",
        ):
            self.execute(f"PRAGMA {pragma}")

    def close(self) -> None:
        """Close the connection; SQLite folds the write-ahead log into the file if it is the last."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[None]:
        """All or nothing, and nobody else between: BEGIN IMMEDIATE … COMMIT, or ROLLBACK on any exception.

        Without ``durable`` a loss of power may take the outermost transaction back, and nobody waits for the
        disk: neither the caller nor, behind the lock, everybody else.
        """
        with self._lock:
            if self._depth:
                yield
                return
            if not durable:
                with self._synchronous("NORMAL"), self.transaction():
                    yield
                return
            with self._errors():
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield
                with self._errors():
                    self._connection.execute("COMMIT")
            finally:
                self._depth = 0
                if self._connection.in_transaction:
                    self._connection.rollback()

    @contextmanager
    def _synchronous(self, level: str) -> Iterator[None]:
        self.execute(f"PRAGMA synchronous={level}")
        try:
            yield
        finally:
            self.execute(f"PRAGMA synchronous={_DURABLE}")

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Have what is read in it be of one moment: nobody who uses this connection writes between."""
        with self._lock:
            yield

    def execute(self, sql: str, values: Values = ()) -> int:
        """Run one statement; returns how many rows it changed.

        Raises :class:`InvalidParameterError` for a number beyond 64 bits, or text that is no Unicode.
        """
        with self._lock, self._errors():
            try:
                return self._connection.execute(sql, values).rowcount
            except OverflowError as error:
                raise InvalidParameterError("a number is larger than 64 bits") from error
            except UnicodeEncodeError:
                # Not "from": the exception holds the text.
                raise InvalidParameterError("a text is not valid Unicode") from None

    def next_id(self, table: str) -> int:
        """Return the id an AUTOINCREMENT ``table`` gives next; call it in the transaction that inserts.

        Known before the row is, so that a secret can be sealed for its row.  Ids are never used again.
        """
        row = self.row("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,))
        return int(row["seq"]) + 1 if row else 1

    def rows(self, sql: str, values: Values = ()) -> list[sqlite3.Row]:
        """Return all rows of a query; asked for a value SQLite cannot hold, none: no row has it."""
        with self._lock, self._errors():
            try:
                return self._fetched(sql, values)
            except (OverflowError, UnicodeEncodeError):
                return []

    def _fetched(self, sql: str, values: Values) -> list[sqlite3.Row]:
        """Return all rows; text that is no UTF-8, in whichever row, comes with surrogate escapes."""
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.OperationalError as error:
            if "decode to UTF-8" not in str(error):
                raise
        self._connection.text_factory = _decoded
        try:
            return self._connection.execute(sql, values).fetchall()
        finally:
            self._connection.text_factory = str

    def row(self, sql: str, values: Values = ()) -> sqlite3.Row | None:
        """Return the first row of a query, or None."""
        found = self.rows(sql, values)
        return found[0] if found else None

    def copy_to(self, target: Path) -> None:
        """Write a consistent copy, write-ahead log included, to the empty file ``target``."""
        with self._lock, self._errors():
            self._connection.execute("VACUUM INTO ?", (str(target.absolute()),))

    def _errors(self) -> _ErrorsInWords:
        return _ErrorsInWords(self.path)


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


class _ErrorsInWords:
    """Turns what SQLite raises about the file into :class:`StateError`; misuse of SQLite passes as it is."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, sqlite3.IntegrityError):
            if error.sqlite_errorname in ("SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"):
                raise UniqueViolationError(str(error)) from error
            # TRIGGER is what ON DELETE RESTRICT answers; the schema has no triggers of its own.
            if error.sqlite_errorname in ("SQLITE_CONSTRAINT_FOREIGNKEY", "SQLITE_CONSTRAINT_TRIGGER"):
                raise ForeignKeyViolationError(str(error)) from error
        elif isinstance(error, sqlite3.DatabaseError) and not isinstance(error, _OUR_MISTAKES):
            if lacks_room(self._path, error):
                raise StateError(no_space(f"the state database {self._path}")) from error
            raise StateError(f"the state database {self._path}: {error}") from error
