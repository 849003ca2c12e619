# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who calls: login sessions, passwords and API tokens (design section 8; docs/accounts.md)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from papi_backup.model.account import Identity
from papi_backup.model.errors import AuthenticationError
from papi_backup.model.secret import Secret
from papi_backup.services.brake import BrakeKey, FailureBrake, Limit
from papi_backup.state.store import Store

# An address is not everybody behind it, and an account must stay usable while somebody guesses at it.
_OF_ACCOUNT_AND_ADDRESS = Limit(free=10, longest=60)
_OF_ADDRESS = Limit(free=50, longest=60)
_OF_ACCOUNT = Limit(free=50, longest=5)
_PASSWORDS_AT_ONCE = 2
"""Each check takes 16 MiB and a good part of a second of a core."""


@dataclass(frozen=True, slots=True)
class Session:
    """A login that worked; ``token`` is the cookie's value."""

    identity: Identity
    token: str


class AccessService:
    """Logs in and out."""

    def __init__(self, store: Store, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._brake = FailureBrake(monotonic)
        self._passwords = threading.BoundedSemaphore(_PASSWORDS_AT_ONCE)

    @property
    def state_is_lost(self) -> bool:
        """Whether the agent found its key and no state, and has had no configuration since."""
        return self._store.is_lost

    def verify(self, name: str, password: Secret, address: str) -> Identity:
        """Return the account that has this password.

        Raises :class:`AuthenticationError`, or :class:`TooManyRequestsError` after repeated failures of the
        account or of the address.
        """
        pair = BrakeKey(f"both {len(name)} {name} {address}", _OF_ACCOUNT_AND_ADDRESS)
        keys = (pair, BrakeKey(f"address {address}", _OF_ADDRESS), BrakeKey(f"account {name}", _OF_ACCOUNT))
        with self._passwords:
            self._brake.check(keys)
            account = self._store.accounts.verify(name, password)
            if account is None:
                self._brake.failed(keys)
                raise AuthenticationError("Authentication Error")
        self._brake.succeeded(pair)
        return Identity(account.name, account.role, account.stamp)

    def verify_key(self, name: str, token: Secret, address: str) -> Identity:
        """Return the API token of that name and value, or the account that has this password.

        Raises as :meth:`verify` does.  The right token of a name that strangers guess at is not held up: no
        number of guesses finds one.  A wrong one costs what a wrong password costs, so that neither time nor
        the answer tells which names are tokens'.
        """
        known = self._store.tokens.verify(name, token)
        if known is not None:
            return Identity(known.name, known.role, known.stamp)
        return self.verify(name, token, address)

    def open_session(self, identity: Identity) -> Session:
        """Start a session for an identity that was just verified.

        Raises :class:`AuthenticationError` when its credential was withdrawn since: ending sessions would
        then have missed this one.
        """
        store = self._store
        with store.transaction():
            current = (store.accounts.is_current, store.tokens.is_current)
            if not any(is_current(identity.name, identity.stamp) for is_current in current):
                raise AuthenticationError("Authentication Error")
            return Session(identity, store.sessions.create(identity))

    def identity_of(self, token: str) -> Identity | None:
        """Return whose session ``token`` is; None when it has ended or never was."""
        return self._store.sessions.get(token)

    def close_session(self, token: str) -> None:
        """End a session."""
        self._store.sessions.delete(token)
