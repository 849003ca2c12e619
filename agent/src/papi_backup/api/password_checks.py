# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks the passwords that calls over one listener carry, each in its turn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import anyio.to_thread

from papi_backup.api.gate import Entry, Gate, PasswordClaim
from papi_backup.api.turns import Pace, TurnBounds, Turns
from papi_backup.model.errors import TooManyRequestsError

OF_STRANGERS = TurnBounds(at_once=1, spacing=0.2, of_address=16, in_all=32, patience=8.0)
"""From addresses that nobody has logged in from: 300 a minute in all."""

OF_KNOWN_ADDRESSES = TurnBounds(at_once=2, spacing=0.0, of_address=32, in_all=128, patience=20.0)
SLOW_SECONDS = 1.0
"""Between checks of strangers at an account that is guessed at, and at a known address that fails often."""


class PasswordChecks:
    """Those of one listener; to be used in its event loop alone."""

    def __init__(self, gate: Gate, limiter: anyio.CapacityLimiter) -> None:
        """``limiter`` has the threads that check."""
        self._gate = gate
        self._limiter = limiter
        self._strangers = Turns(OF_STRANGERS, _when(gate.is_guessed_at, by_address=False))
        self._known = Turns(OF_KNOWN_ADDRESSES, _when(gate.has_failed_often, by_address=True))

    async def check(self, claim: PasswordClaim, leaves: Callable[[], Awaitable[None]]) -> Entry:
        """Return what the claim comes to; a refusal is an :class:`Entry` too.

        ``leaves`` returns when the client has hung up: :class:`ClientGoneError` is raised where it waits.
        """
        turns = self._known if claim.known_address else self._strangers
        try:
            self._gate.refuse_early(claim)
            async with turns.turn(claim.name, claim.address, leaves):
                return await anyio.to_thread.run_sync(
                    self._gate.verify, claim, abandon_on_cancel=True, limiter=self._limiter
                )
        except TooManyRequestsError as refusal:
            return Entry(refusal=refusal)


def _when(is_slow: Callable[[str, str], bool], *, by_address: bool) -> Callable[[str, str], Pace | None]:
    def pace(name: str, address: str) -> Pace | None:
        return (address if by_address else name, SLOW_SECONDS) if is_slow(name, address) else None

    return pace
