# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who calls: login sessions, passwords and API tokens (docs/accounts.md)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from papi_backup.model.account import Identity
from papi_backup.model.errors import AuthenticationError
from papi_backup.model.secret import Secret
from papi_backup.services.brake import BrakeKey, FailureBrake, Limit, refuse_for
from papi_backup.state.database import StateError
from papi_backup.state.store import Store

log = logging.getLogger(__name__)

# An address is not everybody behind it, and an account must stay usable while somebody guesses at it.
_OF_ACCOUNT_AND_ADDRESS = Limit(free=10, longest=60)
_OF_ADDRESS = Limit(free=50, longest=60)
_OF_ACCOUNT = Limit(free=50, longest=0)
"""No wait: who guesses at an account must not hold up its owner.  Attempts are checked more slowly then."""


@dataclass(frozen=True, slots=True)
class Session:
    """A login that worked; ``token`` is the cookie's value."""

    identity: Identity
    token: str


class AccessService:
    """Logs in and out.  How many passwords are checked at once is up to the caller."""

    def __init__(self, store: Store, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._brake = FailureBrake(monotonic)

    def knows_address(self, address: str) -> bool:
        """Whether anybody has logged in from ``address`` with a password."""
        return self._store.login_addresses.knows(address)

    def is_guessed_at(self, name: str) -> bool:
        """Whether many attempts at ``name`` have failed in a row, whether such an account exists or not."""
        return not self._brake.is_free(_account(name))

    def has_failed_often(self, name: str, address: str) -> bool:
        """Whether attempts at ``name`` from ``address``, or any from there, no more are free."""
        return not all(self._brake.is_free(key) for key in _held_up_by(name, address))

    def refuse_early(self, name: str, address: str) -> None:
        """Raise :class:`TooManyRequestsError` while an address that nobody has logged in from must wait."""
        self._brake.check(_held_up_by(name, address))

    @property
    def state_is_lost(self) -> bool:
        """Whether the agent found its key and no state, and has had no configuration since."""
        return self._store.is_lost

    def verify(self, name: str, password: Secret, address: str) -> Identity:
        """Return the account that has this password.

        Raises :class:`AuthenticationError`, or :class:`TooManyRequestsError` after repeated failures of the
        account at the address or of the address.  The right password from an address that somebody has
        logged in from is never refused; a wrong one gets the same answers as from anywhere.
        """
        held_up_by = _held_up_by(name, address)
        seconds = self._brake.remaining(held_up_by)
        if not self.knows_address(address):
            refuse_for(seconds)
        account = self._store.accounts.verify(name, password)
        if account is None:
            self._brake.failed((*held_up_by, _account(name)))
            refuse_for(seconds)
            raise AuthenticationError("Authentication Error")
        self._brake.succeeded(held_up_by[0])
        self._note_address(account.name, address)
        return Identity(account.name, account.role, account.stamp)

    def _note_address(self, name: str, address: str) -> None:
        """Remember from where an account logged in; a disk that is full does not keep people out."""
        try:
            self._store.login_addresses.note(name, address)
        except StateError as error:
            log.warning("the address that %r logged in from is not remembered: %s", name, error.message)

    def token_hashes(self) -> frozenset[bytes]:
        """Return the hashes of the values of all API tokens."""
        return self._store.tokens.hashes()

    def recognise(self, name: str, token: Secret) -> Identity | None:
        """Return the API token of that name and value; None for all others.

        The right token of a name that strangers guess at is not held up: no number of guesses finds one.
        """
        known = self._store.tokens.verify(name, token)
        return Identity(known.name, known.role, known.stamp) if known is not None else None

    def verify_key(self, name: str, token: Secret, address: str) -> Identity:
        """Return the API token of that name and value, or the account that has this password.

        Raises as :meth:`verify` does.  A wrong token costs what a wrong password costs, so that neither time
        nor the answer tells which names are tokens'.
        """
        return self.recognise(name, token) or self.verify(name, token, address)

    def open_session(self, identity: Identity) -> Session:
        """Start a session for an identity that was just verified.

        Raises :class:`AuthenticationError` when its credential was withdrawn since: ending sessions would
        then have missed this one.
        """
        store = self._store
        # A session that a loss of power ends is opened again; each call with credentials opens one.
        with store.transaction(durable=False):
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


def _held_up_by(name: str, address: str) -> tuple[BrakeKey, BrakeKey]:
    pair = BrakeKey(f"both {len(name)} {name} {address}", _OF_ACCOUNT_AND_ADDRESS)
    return pair, BrakeKey(f"address {address}", _OF_ADDRESS)


def _account(name: str) -> BrakeKey:
    return BrakeKey(f"account {name}", _OF_ACCOUNT)
