# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts of the API (docs/accounts.md)."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from papi_backup.model.account import Account, Role
from papi_backup.model.errors import InvalidParameterError, NoSuchEntityError
from papi_backup.model.secret import Secret
from papi_backup.state.caller_names import check_new, is_name, refuse_taken
from papi_backup.state.database import Database, StateError, Value
from papi_backup.state.login_addresses import forget_addresses_of
from papi_backup.state.passwords import PasswordHash, ScryptCost, hash_password, matches, unmatchable
from papi_backup.state.sessions import end_sessions_of
from papi_backup.state.spoilt_rows import SpoiltRows, bytes_of, number_of, text_of

MAXIMUM_PASSWORD_BYTES = 1024


class Accounts:
    """The table ``accounts``.  Names are case-sensitive; hashing happens outside the database's lock."""

    def __init__(self, database: Database, cost: ScryptCost, spoilt: SpoiltRows) -> None:
        self._database = database
        self._spoilt = spoilt
        self._cost = cost
        self._nobody = unmatchable(cost)

    def list(self) -> list[Account]:
        """Return all accounts in creation order."""
        rows = self._database.rows("SELECT rowid AS row_number, * FROM accounts ORDER BY created")
        return [account for account, unused in self._spoilt.read("accounts", rows, _from_row)]

    def add(self, name: str, role: Role, password: Secret) -> Account:
        """Make an account; a bad or taken name, role or password is :class:`InvalidParameterError`."""
        check_new("account", name, role)
        hashed = self._hash(password)
        with self._database.transaction():
            refuse_taken(self._database, name)
            self._database.execute(
                "INSERT INTO accounts (name, role, created, salt, hash, scrypt_n, scrypt_r, scrypt_p)"
                " VALUES (?, ?, (SELECT coalesce(max(created), 0) + 1 FROM accounts), ?, ?, ?, ?, ?)",
                (name, role, *_columns(hashed)),
            )
        return Account(name, role, hashed.salt)

    def remove(self, name: str) -> None:
        """Remove an account, end its sessions and forget where it logged in from.

        Raises :class:`NoSuchEntityError`.
        """
        with self._database.transaction():
            if not self._database.execute("DELETE FROM accounts WHERE name = ?", (name,)):
                raise _no_account(name)
            end_sessions_of(self._database, name)
            forget_addresses_of(self._database, name)

    def set_password(self, name: str, password: Secret) -> None:
        """Replace a password, end the account's sessions and forget where it logged in from.

        Raises :class:`NoSuchEntityError`, :class:`InvalidParameterError`.
        """
        hashed = self._hash(password)
        with self._database.transaction():
            if not self._store(name, hashed):
                raise _no_account(name)
            end_sessions_of(self._database, name)
            forget_addresses_of(self._database, name)

    def verify(self, name: str, password: Secret) -> Account | None:
        """Return the account if the password is right.

        An unknown name costs the same scrypt, so that time does not tell who exists.  A hash made at
        another cost is renewed at today's.
        """
        query = "SELECT rowid AS row_number, * FROM accounts WHERE name = ?"
        row = self._database.row(query, (name,)) if is_name(name) else None
        found = self._spoilt.read_one("accounts", row, _from_row)
        account, stored = found or (None, self._nobody)
        if not matches(password, stored) or account is None:
            return None
        if stored.cost != self._cost:
            # With the old salt, which is the account's stamp: the password is still the same.
            self._store(name, hash_password(password, self._cost, stored.salt), instead_of=stored)
        return replace(account, stamp=stored.salt)

    def is_current(self, name: str, stamp: bytes) -> bool:
        """Whether the account is there and has the password that it had when ``stamp`` was told."""
        row = self._database.row("SELECT salt FROM accounts WHERE name = ?", (name,))
        return row is not None and row["salt"] == stamp

    def _hash(self, password: Secret) -> PasswordHash:
        size = len(password.reveal().encode("utf-8", "surrogatepass"))
        if not 0 < size <= MAXIMUM_PASSWORD_BYTES:
            raise InvalidParameterError(
                f"a password has from 1 to {MAXIMUM_PASSWORD_BYTES} bytes", "password"
            )
        return hash_password(password, self._cost)

    def _store(self, name: str, hashed: PasswordHash, instead_of: PasswordHash | None = None) -> int:
        """Write a hash; ``instead_of`` keeps a renewal from undoing a password set meanwhile."""
        return self._database.execute(
            "UPDATE accounts SET salt = ?, hash = ?, scrypt_n = ?, scrypt_r = ?, scrypt_p = ?"
            " WHERE name = ? AND (? IS NULL OR hash = ?)",
            (*_columns(hashed), name, *([instead_of.hash] * 2 if instead_of else [None] * 2)),
        )


def _columns(hashed: PasswordHash) -> tuple[Value, ...]:
    return (hashed.salt, hashed.hash, hashed.cost.n, hashed.cost.r, hashed.cost.p)


def _from_row(row: sqlite3.Row) -> tuple[Account, PasswordHash]:
    cost = ScryptCost(number_of(row, "scrypt_n"), number_of(row, "scrypt_r"), number_of(row, "scrypt_p"))
    if min(cost.n - 1, cost.r, cost.p) < 1 or cost.n & (cost.n - 1):
        raise StateError("its cost is none that scrypt can have")
    return (
        Account(text_of(row, "name"), row["role"]),
        PasswordHash(bytes_of(row, "salt"), bytes_of(row, "hash"), cost),
    )


def _no_account(name: str) -> NoSuchEntityError:
    return NoSuchEntityError(f"there is no account named {name!r}")
