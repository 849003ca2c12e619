# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose bytes a busy listener looks at next, and who makes room where there are too many connections."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest

from papi_backup.api.crowd import FEW, QUIET_SECONDS, Crowd
from papi_backup.api.door import Door, Guest
from papi_backup.api.fair_share import TURN_SECONDS, FairShare, Place
from papi_backup.api.known_addresses import KnownAddresses

OWNER = Place("10.0.0.1", "10.0.0.1", is_known=True)
NEWCOMER = Place("10.1.0.0/16", "10.1.0.1")


def stranger(network: int, host: int = 1) -> Place:
    return Place(f"192.{network}.0.0/16", f"192.{network}.0.{host}")


class Working:
    """A clock that each piece of work moves on, and what was done in which turn of the loop."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.now = 0.0
        self.done: list[str] = []
        self.turns: list[int] = []
        self._turn = 0

    def work(self, name: str) -> None:
        self.now += self.seconds
        self.done.append(name)
        self.turns.append(self._turn)

    async def all_done(self, count: int) -> None:
        while len(self.done) < count:
            self._turn += 1
            await asyncio.sleep(0)


def served(asked: list[tuple[Place, str]], seconds: float = TURN_SECONDS) -> Working:
    """Ask in this order, and return what was done."""
    working = Working(seconds)

    async def scene() -> None:
        share = FairShare(lambda: working.now)
        for place, name in asked:
            share.ask(place, partial(working.work, name))
        await working.all_done(len(asked))

    asyncio.run(scene())
    return working


def test_one_place_is_served_in_the_order_of_its_asking() -> None:
    assert served([(NEWCOMER, str(number)) for number in range(5)]).done == list("01234")


def test_networks_take_turns_however_much_one_of_them_asks_for() -> None:
    asked = [(stranger(1, number), "many") for number in range(50)] + [(NEWCOMER, "one")]
    assert served(asked).done.index("one") == 1


def test_a_place_that_is_known_has_half_of_the_time() -> None:
    asked = [(stranger(number), "stranger") for number in range(100)] + [(OWNER, "owner")] * 3
    done = served(asked).done
    assert [number for number, name in enumerate(done) if name == "owner"] == [0, 2, 4]


def test_whoever_was_served_longest_ago_comes_first() -> None:
    working = Working(TURN_SECONDS)

    async def scene() -> None:
        share = FairShare(lambda: working.now)
        share.ask(stranger(1), lambda: working.work("first"))
        await working.all_done(1)
        share.ask(stranger(1), lambda: working.work("again"))
        share.ask(stranger(2), lambda: working.work("never yet"))
        await working.all_done(3)

    asyncio.run(scene())
    assert working.done == ["first", "never yet", "again"]


@pytest.mark.parametrize(("seconds", "a_turn"), [(TURN_SECONDS, 1), (TURN_SECONDS / 4, 4), (1.0, 1)])
def test_a_turn_of_the_loop_works_for_a_bounded_time(seconds: float, a_turn: int) -> None:
    turns = served([(NEWCOMER, "x")] * 12, seconds).turns
    assert {len(list(group)) for _turn, group in itertools.groupby(turns)} == {a_turn}


def test_work_that_asks_for_more_waits_for_it_like_others() -> None:
    working = Working(TURN_SECONDS)

    async def scene() -> None:
        share = FairShare(lambda: working.now)

        def asks_again() -> None:
            working.work("asks")
            share.ask(stranger(1), lambda: working.work("again"))

        share.ask(stranger(1), asks_again)
        share.ask(stranger(2), lambda: working.work("other"))
        await working.all_done(3)

    asyncio.run(scene())
    assert working.done == ["asks", "other", "again"]


def test_work_that_fails_keeps_nobody_waiting() -> None:
    working = Working(TURN_SECONDS)

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        told: list[str] = []
        loop.set_exception_handler(lambda _loop, context: told.append(str(context["exception"])))
        share = FairShare(lambda: working.now)

        def fails() -> None:
            raise ValueError("of this work")

        share.ask(stranger(1), fails)
        share.ask(stranger(1), lambda: working.work("next"))
        await working.all_done(1)
        assert told == ["of this work"]

    asyncio.run(scene())
    assert working.done == ["next"]


@dataclass(eq=False)
class Connection:
    name: str
    place: Place
    waits_for_its_answer: bool = False
    is_unseen: bool = True


class Listener:
    """A crowd at a time that the test moves on."""

    def __init__(self, **served: int) -> None:
        self.now = 0.0
        self.crowd: Crowd[Connection] = Crowd(lambda crowd: served.get(crowd, 0), lambda: self.now)

    def add(self, *connections: Connection) -> None:
        for connection in connections:
            self.crowd.add(connection, connection.place)

    def leaving(self) -> str:
        found = self.crowd.who_leaves()
        return found.name if found is not None else "nobody"


def test_the_longest_quiet_makes_room() -> None:
    here = Listener()
    here.add(
        Connection("answered", stranger(1), waits_for_its_answer=True, is_unseen=False),
        Connection("unseen", stranger(2)),
        Connection("quiet", stranger(3), is_unseen=False),
        Connection("later", stranger(4), is_unseen=False),
    )
    here.now += QUIET_SECONDS
    assert here.leaving() == "quiet"


def test_who_was_heard_a_moment_ago_is_not_quiet() -> None:
    here = Listener(**{stranger(2).crowd: 7, stranger(1).crowd: 3})
    here.add(Connection("a", stranger(1)), Connection("b", stranger(2)), Connection("c", stranger(3)))
    assert here.leaving() == "b", "its network had its turn last"


def test_an_owner_stays_though_strangers_were_served_longer_ago() -> None:
    here = Listener(**{OWNER.crowd: 9, stranger(1).crowd: 1})
    here.add(Connection("owner", OWNER), Connection("stranger", stranger(1)))
    assert here.leaving() == "stranger"


def test_the_largest_crowd_makes_room_first_and_of_it_the_address_that_has_most() -> None:
    here = Listener()
    here.add(*(Connection("few", stranger(1)) for _unused in range(FEW)))
    here.add(*(Connection("crowd", stranger(2, number)) for number in range(FEW)))
    here.add(*(Connection(f"many {number}", stranger(2, 99)) for number in range(FEW + 1)))
    assert here.leaving() == "many 0"


def test_who_waits_for_an_answer_stays_even_where_nobody_else_can_leave() -> None:
    here = Listener()
    here.add(Connection("waits", stranger(1), waits_for_its_answer=True))
    assert here.leaving() == "nobody"


def test_who_has_left_counts_no_more() -> None:
    here = Listener()
    gone, stays = Connection("gone", stranger(1)), Connection("stays", stranger(2))
    here.add(gone, stays)
    here.crowd.remove(gone)
    here.crowd.remove(gone)
    assert (len(here.crowd), gone in here.crowd, here.leaving()) == (1, False, "stays")


def test_of_known_addresses_the_latest_are_remembered() -> None:
    known = KnownAddresses()
    known.note("10.0.0.1")
    for number in range(1023):
        known.note(f"10.1.{number // 256}.{number % 256}")
    known.note("10.0.0.1")
    known.note("10.2.0.0")
    assert ("10.0.0.1" in known, "10.1.0.0" in known, "10.2.0.0" in known) == (True, False, True)


class Late(Guest):
    """A connection whose turn comes when the test says so."""

    is_wanted = True

    def __init__(self) -> None:
        self.admissions: list[Callable[[], None]] = []

    def enter(self, admit: Callable[[], None]) -> None:
        self.admissions.append(admit)


@pytest.mark.parametrize("how", ["it made room", "the door closed"])
def test_whoever_is_not_let_in_any_more_is_hung_up_on(how: str) -> None:
    async def scene() -> bytes:
        guest = Late()
        listener = socket.create_server(("127.0.0.1", 0))
        door = Door(listener, lambda: guest, None, 10.0)
        door.open(16)
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        while not guest.admissions:
            await asyncio.sleep(0.001)
        if how == "it made room":
            guest.is_wanted = False
        else:
            door.close()
        guest.admissions[0]()
        received = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        if how == "it made room":
            door.close()
        listener.close()
        return received

    assert asyncio.run(scene()) == b""
