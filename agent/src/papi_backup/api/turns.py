# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose password is checked next: a check costs a core a good part of a second, and strangers ask for many.

Who waits holds no thread.  Networks take turns, so that who has many addresses of one network waits behind
everybody else; and an address that was sent away goes first when it comes again, so that a stranger who takes
a new address for each guess does not keep a newcomer out twice.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from papi_backup.api.request import ClientGoneError
from papi_backup.model.errors import TooManyRequestsError

_REMEMBERED = 4096
_SENT_AWAY_SECONDS = 120.0
_PREFIXES = {4: 16, 6: 48}

_What = TypeVar("_What", bound=Hashable)
Pace = tuple[Hashable, float]
"""What is slowed down, and by how many seconds from one check to the next."""


@dataclass(frozen=True, slots=True)
class TurnBounds:
    """``spacing`` seconds lie between the beginnings of checks, ``at_once`` are under way.

    ``of_address`` and ``in_all`` bound how many wait, ``patience`` for how many seconds each does.
    """

    at_once: int
    spacing: float
    of_address: int
    in_all: int
    patience: float


@dataclass(eq=False, slots=True)
class _Waiting:
    name: str
    address: str
    network: str
    was_sent_away: bool
    since: float
    turn: asyncio.Future[None]


class Turns:
    """The turns of one kind of callers at one listener; to be used in its event loop alone."""

    def __init__(self, bounds: TurnBounds, pace: Callable[[str, str], Pace | None]) -> None:
        """``pace`` tells for a name and an address what slows their checks down, None for nothing."""
        self._bounds = bounds
        self._pace = pace
        self._under_way = 0
        self._waiting: list[_Waiting] = []
        self._next_start = 0.0
        self._slowed: OrderedDict[Hashable, float] = OrderedDict()
        self._served: OrderedDict[str, float] = OrderedDict()
        self._sent_away: OrderedDict[str, float] = OrderedDict()
        self._alarm: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def turn(
        self, name: str, address: str, leaves: Callable[[], Awaitable[None]]
    ) -> AsyncIterator[None]:
        """Wait for a turn and hold it.

        ``leaves`` returns when whoever waits has hung up: the turn is then others', and
        :class:`ClientGoneError` is raised.  Who has to come again is told so by
        :class:`TooManyRequestsError`.
        """
        loop = asyncio.get_running_loop()
        sent_away = self._sent_away.get(address, -math.inf) > loop.time() - _SENT_AWAY_SECONDS
        waiting = _Waiting(name, address, network_of(address), sent_away, loop.time(), loop.create_future())
        self._make_room(waiting)
        self._waiting.append(waiting)
        self._advance()
        if not waiting.turn.done():
            await self._wait(waiting, leaves)
        waiting.turn.result()
        try:
            yield
        finally:
            self._under_way -= 1
            self._advance()

    async def _wait(self, waiting: _Waiting, leaves: Callable[[], Awaitable[None]]) -> None:
        gone = asyncio.ensure_future(leaves())
        try:
            await asyncio.wait(
                (waiting.turn, gone), timeout=self._bounds.patience, return_when=asyncio.FIRST_COMPLETED
            )
            if not waiting.turn.done():
                self._waiting.remove(waiting)
                raise ClientGoneError if gone.done() else self._come_again(waiting.address)
        except asyncio.CancelledError:
            self._leave(waiting)
            raise
        finally:
            gone.cancel()

    def _leave(self, waiting: _Waiting) -> None:
        """Forget who waits no more; a turn that came at the same moment is given back."""
        if waiting in self._waiting:
            self._waiting.remove(waiting)
        elif waiting.turn.exception() is None:
            self._under_way -= 1
            self._advance()

    def _make_room(self, newcomer: _Waiting) -> None:
        """Send somebody away where too many wait: the newcomer, or one of those who crowd the others out."""
        if sum(other.address == newcomer.address for other in self._waiting) >= self._bounds.of_address:
            raise self._come_again(newcomer.address)
        if len(self._waiting) < self._bounds.in_all:
            return
        alike = Counter(word for one in self._waiting for word in (one.network, f"name {one.name}"))

        def crowding(waiting: _Waiting) -> tuple[bool, int]:
            return not waiting.was_sent_away, alike[waiting.network] + alike[f"name {waiting.name}"]

        leaving = max([newcomer, *reversed(self._waiting)], key=crowding)
        if leaving is newcomer:
            raise self._come_again(newcomer.address)
        self._waiting.remove(leaving)
        leaving.turn.set_exception(self._come_again(leaving.address))

    def _come_again(self, address: str) -> TooManyRequestsError:
        _note(self._sent_away, address, asyncio.get_running_loop().time())
        return TooManyRequestsError("Too many logins are being checked; try again in 1 s.")

    def _advance(self) -> None:
        """Give turns to whoever may have one now; an alarm rings when the next one may."""
        while self._waiting and self._under_way < self._bounds.at_once:
            now = asyncio.get_running_loop().time()
            ready = [one for one in self._waiting if self._may_start(one) <= now]
            if not ready:
                self._set_alarm(min(map(self._may_start, self._waiting)))
                return
            self._give(min(ready, key=self._rank), now)

    def _give(self, waiting: _Waiting, now: float) -> None:
        self._waiting.remove(waiting)
        self._under_way += 1
        self._next_start = now + self._bounds.spacing
        pace = self._pace(waiting.name, waiting.address)
        if pace is not None:
            _note(self._slowed, pace[0], now + pace[1])
        _note(self._served, waiting.network, now)
        self._sent_away.pop(waiting.address, None)
        waiting.turn.set_result(None)

    def _may_start(self, waiting: _Waiting) -> float:
        pace = self._pace(waiting.name, waiting.address)
        return max(self._next_start, self._slowed.get(pace[0], 0.0) if pace is not None else 0.0)

    def _rank(self, waiting: _Waiting) -> tuple[bool, float, float]:
        return not waiting.was_sent_away, self._served.get(waiting.network, 0.0), waiting.since

    def _set_alarm(self, when: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = asyncio.get_running_loop().call_at(when, self._advance)


def network_of(address: str) -> str:
    """Return the network whose addresses share their turns: /16 of IPv4, /48 of IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed.packed, _PREFIXES[parsed.version]), strict=False))


def _note(times: OrderedDict[_What, float], what: _What, time: float) -> None:
    times.pop(what, None)
    times[what] = time
    if len(times) > _REMEMBERED:
        times.popitem(last=False)
