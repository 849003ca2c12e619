# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows that cannot be read: set aside and logged, so that one of them keeps nothing else from its work.

Only tables that backups can do without are read through here.  A storage, a configuration or an SSH id that
cannot be read stays where it is: nothing can be put in its place.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Iterable
from typing import TypeVar

from papi_backup.state.database import Database, StateError
from papi_backup.state.instants import to_text, utcnow

T = TypeVar("T")
MOST_KEPT = 100
"""Rows that stay in the table ``set_aside``, the newest ones."""

_UNREADABLE = (StateError, ValueError, TypeError, AttributeError, KeyError)
log = logging.getLogger(__name__)


class SpoiltRows:
    """The table ``set_aside``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, table: str, rows: Iterable[sqlite3.Row], make: Callable[[sqlite3.Row], T]) -> list[T]:
        """Return what ``make`` makes of each row of ``table``, without those it cannot read.

        The query selects ``rowid AS row_number`` beside them.  ``make`` reads nothing but its row.
        """
        made = []
        for row in rows:
            try:
                made.append(make(row))
            except _UNREADABLE as error:
                self._set_aside(table, row, error)
        return made

    def read_one(self, table: str, row: sqlite3.Row | None, make: Callable[[sqlite3.Row], T]) -> T | None:
        """Return what ``make`` makes of the row; None where there is none that can be read."""
        made = self.read(table, () if row is None else (row,), make)
        return made[0] if made else None

    def _set_aside(self, table: str, row: sqlite3.Row, error: Exception) -> None:
        why = error.message if isinstance(error, StateError) else f"{type(error).__name__}"
        log.error(
            "row %d of the table %s in %s cannot be read (%s): it is set aside, and done without",
            row["row_number"],
            table,
            self._database.path,
            why,
        )
        try:
            with self._database.transaction():
                self._database.execute(
                    "INSERT INTO set_aside (table_name, content, noticed) VALUES (?, ?, ?)",
                    (table, _content(row), to_text(utcnow())),
                )
                self._database.execute(
                    f"DELETE FROM {table} WHERE rowid = ?",  # noqa: S608 (a name of ours)
                    (row["row_number"],),
                )
                self._database.execute(
                    "DELETE FROM set_aside WHERE rowid NOT IN"
                    " (SELECT rowid FROM set_aside ORDER BY rowid DESC LIMIT ?)",
                    (MOST_KEPT,),
                )
        except StateError as failure:
            # A disk that is full keeps the row where it is; it is done without all the same.
            log.error("the row stays where it is: %s", failure.message)


def text_of(row: sqlite3.Row, column: str) -> str:
    """Return a text; raises :class:`StateError` for anything else that SQLite let into the column."""
    value = row[column]
    if not isinstance(value, str) or (not value.isascii() and _is_escaped(value)):
        raise StateError(f"its {column} is no text")
    return value


def _is_escaped(text: str) -> bool:
    """Whether the bytes of a text were no UTF-8: the database's reader lets them through as surrogates."""
    return any("\ud800" <= letter <= "\udfff" for letter in text)


def bytes_of(row: sqlite3.Row, column: str) -> bytes:
    """Return bytes; raises :class:`StateError` for anything else that SQLite let into the column."""
    value = row[column]
    if not isinstance(value, bytes):
        raise StateError(f"its {column} is not made of bytes")
    return value


def number_of(row: sqlite3.Row, column: str) -> int:
    """Return a whole number; raises :class:`StateError` for anything else that SQLite let into the column."""
    value = row[column]
    if not isinstance(value, int):
        raise StateError(f"its {column} is no whole number")
    return value


def _content(row: sqlite3.Row) -> str:
    """Return the row as ASCII JSON, bytes in hex; what was sealed stays sealed."""
    values = dict(zip(row.keys(), tuple(row), strict=True))
    del values["row_number"]
    return json.dumps(values, default=bytes.hex)
