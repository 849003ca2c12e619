# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shares an event loop's time fairly among the places that callers come from.

A loop serves in the order of arrival, so an owner's request would wait in each turn of the loop behind what
every stranger has sent.  Here a turn works for a few milliseconds only, places that are known get half of it,
and of either sort whichever was served longest ago comes first.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

TURN_SECONDS = 0.01
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Place:
    """Where a connection comes from.

    ``crowd`` is what takes turns: a network, or one address that is known.  The unix socket is one place.
    """

    crowd: str
    address: str
    is_known: bool = False


class FairShare:
    """Work that waits, by place; to be used in one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing waits."""
        self._clock = clock
        self._known: dict[str, deque[Callable[[], None]]] = {}
        self._strangers: dict[str, deque[Callable[[], None]]] = {}
        self._served: OrderedDict[str, int] = OrderedDict()
        self._count = 0
        self._comes = False

    def ask(self, place: Place, work: Callable[[], None]) -> None:
        """Have ``work`` done when its place has its turn; what one crowd asks for keeps its order."""
        waiting = self._known if place.is_known else self._strangers
        waiting.setdefault(place.crowd, deque()).append(work)
        self._come_again()

    def served_last(self, crowd: str) -> int:
        """Return how lately a crowd had its turn: more is later, 0 is never or long ago."""
        return self._served.get(crowd, 0)

    def _come_again(self) -> None:
        if not self._comes and (self._known or self._strangers):
            self._comes = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._comes = False
        ends = self._clock() + TURN_SECONDS
        try:
            while self._known or self._strangers:
                for waiting in (self._known, self._strangers):
                    if waiting:
                        self._serve(waiting)
                if self._clock() >= ends:
                    break
        finally:
            self._come_again()

    def _serve(self, waiting: dict[str, deque[Callable[[], None]]]) -> None:
        crowd = min(waiting, key=self.served_last)
        work = waiting[crowd].popleft()
        if not waiting[crowd]:
            del waiting[crowd]
        self._count += 1
        self._served[crowd] = self._count
        self._served.move_to_end(crowd)
        if len(self._served) > _REMEMBERED:
            self._served.popitem(last=False)
        work()
