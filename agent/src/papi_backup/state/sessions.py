# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Login sessions: the token goes to the client, only its hash stays here."""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta

from papi_backup.model.account import Identity
from papi_backup.state.database import Database
from papi_backup.state.instants import from_text, to_text
from papi_backup.state.spoilt_rows import SpoiltRows, text_of

_TOKEN_BYTES = 32
MAXIMUM_PER_NAME = 256
"""Clients that send credentials with every call get a session each; the oldest make room."""


class Sessions:
    """The table ``sessions``."""

    def __init__(
        self, database: Database, clock: Callable[[], datetime], idle: timedelta, spoilt: SpoiltRows
    ) -> None:
        self._database = database
        self._spoilt = spoilt
        self._clock = clock
        self._idle = idle
        # Writing each use down would be a disk sync a request; a tenth of the idle time is near enough.
        self._note_after = idle / 10

    def create(self, identity: Identity) -> str:
        """Return the token of a new session."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        now = self._clock()
        with self._database.transaction():
            self._database.execute("DELETE FROM sessions WHERE last_seen < ?", (to_text(now - self._idle),))
            self._database.execute(
                "INSERT INTO sessions (token_hash, name, role, last_seen) VALUES (?, ?, ?, ?)",
                (_hash(token), identity.name, identity.role, to_text(now)),
            )
            self._database.execute(
                "DELETE FROM sessions WHERE name = ? AND token_hash NOT IN"
                " (SELECT token_hash FROM sessions WHERE name = ?"
                " ORDER BY last_seen DESC, rowid DESC LIMIT ?)",
                (identity.name, identity.name, MAXIMUM_PER_NAME),
            )
        return token

    def get(self, token: str) -> Identity | None:
        """Return whose session it is and count it as used; None when unknown, ended or idle for too long."""
        row = self._database.row(
            "SELECT rowid AS row_number, * FROM sessions WHERE token_hash = ?", (_hash(token),)
        )
        found = self._spoilt.read_one("sessions", row, _from_row)
        if found is None:
            return None
        identity, last_seen = found
        now = self._clock()
        unused = now - last_seen
        if unused > self._idle:
            self.delete(token)
            return None
        # A clock that was set back must not leave a session for ever: then the new time is noted too.
        if unused >= self._note_after or unused < timedelta(0):
            self._database.execute(
                "UPDATE sessions SET last_seen = ? WHERE token_hash = ?", (to_text(now), _hash(token))
            )
        return identity

    def delete(self, token: str) -> None:
        """End a session; an unknown token is ended already."""
        self._database.execute("DELETE FROM sessions WHERE token_hash = ?", (_hash(token),))


def _from_row(row: sqlite3.Row) -> tuple[Identity, datetime]:
    return Identity(text_of(row, "name"), row["role"]), from_text(row["last_seen"])


def end_sessions_of(database: Database, name: str) -> None:
    """End all sessions of an account whose password or existence changed."""
    database.execute("DELETE FROM sessions WHERE name = ?", (name,))


def _hash(token: str) -> bytes:
    """Tokens are random, so a plain hash is enough: nothing can be guessed from it."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
