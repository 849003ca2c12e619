# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From where accounts have logged in: who guesses at an account from elsewhere does not hold these up."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from datetime import datetime, timedelta

from papi_backup.state.database import Database
from papi_backup.state.instants import to_text

MAXIMUM_PER_NAME = 64
"""The addresses used longest ago make room."""

FORGOTTEN_AFTER = timedelta(days=180)
_NOTE_AFTER = timedelta(days=1)
"""Writing each login down would be a disk sync a login."""

_IPV6_NETWORK = 64


class LoginAddresses:
    """The table ``login_addresses``.  It outlives the agent, so an attack does not begin anew with it."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def note(self, name: str, address: str) -> None:
        """Write down that the account ``name`` logged in from ``address``."""
        now, place = self._clock(), place_of(address)
        recent = self._database.row(
            "SELECT 1 FROM login_addresses WHERE name = ? AND address = ? AND last_login BETWEEN ? AND ?",
            (name, place, to_text(now - _NOTE_AFTER), to_text(now)),
        )
        if recent is not None:
            return
        with self._database.transaction():
            self._database.execute(
                "INSERT INTO login_addresses (name, address, last_login) VALUES (?, ?, ?)"
                " ON CONFLICT (name, address) DO UPDATE SET last_login = excluded.last_login",
                (name, place, to_text(now)),
            )
            self._database.execute(
                "DELETE FROM login_addresses WHERE last_login < ?", (to_text(now - FORGOTTEN_AFTER),)
            )
            self._database.execute(
                "DELETE FROM login_addresses WHERE name = ? AND address NOT IN"
                " (SELECT address FROM login_addresses WHERE name = ?"
                " ORDER BY last_login DESC, rowid DESC LIMIT ?)",
                (name, name, MAXIMUM_PER_NAME),
            )

    def knows(self, address: str) -> bool:
        """Whether any account has logged in from ``address``.

        Any, not a certain one: how an address is treated then tells nothing of which accounts there are.
        """
        row = self._database.row(
            "SELECT 1 FROM login_addresses WHERE address = ? AND last_login >= ?",
            (place_of(address), to_text(self._clock() - FORGOTTEN_AFTER)),
        )
        return row is not None


def forget_addresses_of(database: Database, name: str) -> None:
    """Forget from where an account logged in whose password or existence changed."""
    database.execute("DELETE FROM login_addresses WHERE name = ?", (name,))


def place_of(address: str) -> str:
    """Return what an address is remembered as: hosts change the lower half of their IPv6 addresses daily."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((parsed.packed, _IPV6_NETWORK), strict=False))
