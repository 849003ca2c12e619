# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The open connections of one listener, and which of them makes room where there are too many."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from papi_backup.api.fair_share import Place

FEW = 8
"""So many connections of one place are not too many: owners have some at once, too."""

QUIET_SECONDS = 1.0
"""Whoever said something in so many last seconds is not quiet: the rest may be on its way."""


class Member(Protocol):
    """A connection as its crowd knows it."""

    @property
    def waits_for_its_answer(self) -> bool:
        """Whether its request is whole and its answer is not."""

    @property
    def is_unseen(self) -> bool:
        """Whether it waits to be let in or what it sent waits to be looked at."""


_Who = TypeVar("_Who", bound=Member)


class Crowd(Generic[_Who]):
    """Connections, the longest quiet first."""

    def __init__(
        self, served_last: Callable[[str], int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``served_last`` says of a crowd how lately something of it was looked at: more is later."""
        self._served_last = served_last
        self._clock = clock
        self._heard: OrderedDict[_Who, float] = OrderedDict()
        self._places: dict[_Who, Place] = {}
        self._crowds: dict[str, OrderedDict[_Who, Place]] = {}

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, member: _Who) -> bool:
        return member in self._places

    def add(self, member: _Who, place: Place) -> None:
        """Take it in."""
        self._heard[member] = self._clock()
        self._places[member] = place
        self._crowds.setdefault(place.crowd, OrderedDict())[member] = place

    def remove(self, member: _Who) -> None:
        """Forget it; who is not here may be forgotten too."""
        place = self._places.pop(member, None)
        if place is not None:
            del self._heard[member]
            crowd = self._crowds[place.crowd]
            del crowd[member]
            if not crowd:
                del self._crowds[place.crowd]

    def heard(self, member: _Who) -> None:
        """Note that it sent something."""
        if member in self._places:
            self._heard[member] = self._clock()
            self._heard.move_to_end(member)
            self._crowds[self._places[member].crowd].move_to_end(member)

    def who_leaves(self) -> _Who | None:
        """Return who makes room; whoever waits for an answer stays, and there may be nobody else.

        It is one of the largest crowd, else the one that has been quiet for longest, else one that nobody
        knows and whose crowd had its turn last.
        """
        return self._of_largest_crowd() or self._longest_quiet() or self._of_last_served()

    def _of_largest_crowd(self) -> _Who | None:
        """Return the longest quiet one of the address that has most."""
        crowded = (members for members in self._crowds.values() if len(members) > FEW)
        for members in sorted(crowded, key=len, reverse=True):
            addresses = Counter(place.address for place in members.values())
            many = {address: count for address, count in addresses.items() if count > FEW}
            leaving = [
                (many.get(place.address, 0), member)
                for member, place in members.items()
                if not member.waits_for_its_answer
            ]
            if leaving:
                return max(leaving, key=lambda counted: counted[0])[1]
        return None

    def _longest_quiet(self) -> _Who | None:
        quiet_since = self._clock() - QUIET_SECONDS
        for member, heard in self._heard.items():
            if heard > quiet_since:
                return None
            if not (member.waits_for_its_answer or member.is_unseen):
                return member
        return None

    def _of_last_served(self) -> _Who | None:
        def rank(crowd: str) -> tuple[bool, int]:
            is_known = next(iter(self._crowds[crowd].values())).is_known
            return is_known, -self._served_last(crowd)

        for crowd in sorted(self._crowds, key=rank):
            for member in reversed(self._crowds[crowd]):
                if not member.waits_for_its_answer:
                    return member
        return None
