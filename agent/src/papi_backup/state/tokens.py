# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""API tokens: for programs, which send one with each call; only hashes of them stay here."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta

from papi_backup.model.account import ApiToken, Role
from papi_backup.model.errors import NoSuchEntityError
from papi_backup.model.secret import Secret
from papi_backup.state.caller_names import check_new, is_name, refuse_taken
from papi_backup.state.database import Database
from papi_backup.state.instants import from_text, to_text
from papi_backup.state.sessions import end_sessions_of
from papi_backup.state.spoilt_rows import SpoiltRows, bytes_of, text_of

PREFIX = "pbt_"
"""Lets people and secret scanners know what they have found."""

RANDOM_CHARACTERS = 43
"""How many letters, digits, ``-`` and ``_`` follow the prefix."""

_RANDOM_BYTES = 32
_NOTE_AFTER = timedelta(hours=1)
"""Writing each use down would be a disk sync a call."""


class ApiTokens:
    """The table ``api_tokens``."""

    def __init__(self, database: Database, clock: Callable[[], datetime], spoilt: SpoiltRows) -> None:
        self._database = database
        self._spoilt = spoilt
        self._clock = clock

    def list(self) -> list[ApiToken]:
        """Return all tokens in creation order."""
        rows = self._database.rows("SELECT rowid AS row_number, * FROM api_tokens ORDER BY created, rowid")
        return self._spoilt.read("api_tokens", rows, _from_row)

    def add(self, name: str, role: Role) -> tuple[ApiToken, Secret]:
        """Make a token and return it with its value, which nobody can learn later.

        A bad name or role, and the name of a token or account, are :class:`InvalidParameterError`.
        """
        check_new("token", name, role)
        value = Secret(PREFIX + secrets.token_urlsafe(_RANDOM_BYTES))
        token = ApiToken(name, role, self._clock(), stamp=_hash(value))
        with self._database.transaction():
            refuse_taken(self._database, name)
            self._database.execute(
                "INSERT INTO api_tokens (name, role, created, token_hash) VALUES (?, ?, ?, ?)",
                (name, role, to_text(token.created), token.stamp),
            )
        return token, value

    def hashes(self) -> frozenset[bytes]:
        """Return the hashes of all values, as :func:`hash_of` makes them."""
        return frozenset(token.stamp for token in self.list())

    def revoke(self, name: str) -> None:
        """Remove a token and end the sessions it opened; raises :class:`NoSuchEntityError`."""
        with self._database.transaction():
            if not self._database.execute("DELETE FROM api_tokens WHERE name = ?", (name,)):
                raise NoSuchEntityError(f"there is no API token named {name!r}")
            end_sessions_of(self._database, name)

    def verify(self, name: str, value: Secret) -> ApiToken | None:
        """Return the token if ``value`` is its value, and note the use."""
        query = "SELECT rowid AS row_number, * FROM api_tokens WHERE name = ?"
        row = self._database.row(query, (name,)) if is_name(name) else None
        token = self._spoilt.read_one("api_tokens", row, _from_row)
        if token is None or not hmac.compare_digest(_hash(value), token.stamp):
            return None
        now = self._clock()
        if token.last_used is None or abs(now - token.last_used) >= _NOTE_AFTER:
            self._database.execute(
                "UPDATE api_tokens SET last_used = ? WHERE name = ? AND token_hash = ?",
                (to_text(now), name, token.stamp),
            )
        return token

    def is_current(self, name: str, stamp: bytes) -> bool:
        """Whether the token that had ``stamp`` is still there."""
        row = self._database.row("SELECT token_hash FROM api_tokens WHERE name = ?", (name,))
        return row is not None and row["token_hash"] == stamp


def _from_row(row: sqlite3.Row) -> ApiToken:
    used = row["last_used"]
    return ApiToken(
        text_of(row, "name"),
        row["role"],
        from_text(row["created"]),
        from_text(used) if used else None,
        bytes_of(row, "token_hash"),
    )


def _hash(value: Secret) -> bytes:
    """Values are random, so a plain hash is enough: nothing can be guessed from it."""
    return hash_of(value.reveal().encode("utf-8", "surrogatepass"))


def hash_of(value: bytes) -> bytes:
    """Return what is kept of a token's value."""
    return hashlib.sha256(value).digest()
