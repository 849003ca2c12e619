# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose password is checked next, on an event loop whose clock is the test's."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from papi_backup.api.password_checks import OF_STRANGERS, SLOW_SECONDS
from papi_backup.api.request import ClientGoneError
from papi_backup.api.turns import Pace, TurnBounds, Turns
from papi_backup.model.errors import TooManyRequestsError

CHECK_SECONDS = 0.3


class _NoWaiting(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """Let time pass instead of waiting for it."""
        found = super().select(0)
        if not found and timeout is not None:
            # Where nothing is left to happen, time goes on all the same.
            self.now += max(timeout, 0.0)
        return found


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _NoWaiting()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def run(scene: Callable[[], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(asyncio.wait_for(scene(), 10_000))


def slowly(name: str, address: str) -> Pace:
    """Every account is guessed at."""
    del address
    return name, SLOW_SECONDS


def freely(name: str, address: str) -> None:
    """Nothing is slowed down."""
    del name, address


async def stays() -> None:
    """Be a client that does not hang up."""
    await asyncio.Event().wait()


async def attempt(
    turns: Turns, name: str, address: str, leaves: Callable[[], Awaitable[None]] = stays
) -> float | None:
    """Return when a check began; None: sent away."""
    try:
        async with turns.turn(name, address, leaves):
            began = asyncio.get_running_loop().time()
            await asyncio.sleep(CHECK_SECONDS)
            return began
    except TooManyRequestsError:
        return None


async def flood(turns: Turns, address: Callable[[int], str], began: list[float], *, seconds: float) -> None:
    """Guess at "owner", forty at a time, each from its own next address."""
    counter = iter(range(10_000_000))

    async def guesser() -> None:
        while asyncio.get_running_loop().time() < seconds:
            found = await attempt(turns, "owner", address(next(counter)))
            if found is None:
                await asyncio.sleep(0.5)
            else:
                began.append(found)

    await asyncio.gather(*(guesser() for _unused in range(40)))


FLOODS: dict[str, Callable[[int], str]] = {
    "one address": lambda number: f"127.7.0.{number * 0 + 1}",
    "a thousand addresses of a network": lambda number: f"127.7.{number % 250}.{number % 4}",
    "an address for each guess": lambda number: f"{10 + number % 90}.{number // 90 % 250}.{number % 250}.1",
}


@pytest.mark.parametrize("kind", FLOODS)
def test_a_newcomer_gets_in_every_second_time_at_least_and_guesses_stay_few(kind: str) -> None:
    async def scene() -> None:
        turns = Turns(OF_STRANGERS, slowly)
        began: list[float] = []
        guessing = asyncio.create_task(flood(turns, FLOODS[kind], began, seconds=100))
        await asyncio.sleep(20)
        results: list[bool] = []
        for number in range(12):
            address = f"192.168.{number}.1"
            results.append(await attempt(turns, "owner", address) is not None)
            if not results[-1]:
                await asyncio.sleep(1)
                results.append(await attempt(turns, "owner", address) is not None)
            await asyncio.sleep(3)
        await guessing
        assert sum(results) * 2 >= len(results), results
        assert len(began) <= 100 / SLOW_SECONDS + 2, len(began)

    run(scene)


def test_strangers_have_300_checks_a_minute_in_all_whatever_their_names() -> None:
    async def scene() -> None:
        turns = Turns(OF_STRANGERS, freely)
        began: list[float] = []

        async def guesser(number: int) -> None:
            while asyncio.get_running_loop().time() < 60:
                found = await attempt(turns, f"name{number}", f"10.{number}.0.1")
                if found is not None:
                    began.append(found)

        await asyncio.gather(*(guesser(number) for number in range(30)))
        assert 60 / CHECK_SECONDS - 10 < len(began) <= 301

    run(scene)


def test_an_address_has_a_few_waiting_and_the_others_are_sent_away() -> None:
    async def scene() -> None:
        turns = Turns(OF_STRANGERS, freely)
        found = await asyncio.gather(*(attempt(turns, "a", "10.0.0.1") for _unused in range(30)))
        assert sum(one is not None for one in found) == OF_STRANGERS.of_address + 1

    run(scene)


def test_who_waits_for_too_long_is_sent_away_and_takes_no_turn_with_them() -> None:
    async def scene() -> None:
        turns = Turns(TurnBounds(at_once=1, spacing=0, of_address=9, in_all=9, patience=0.5), freely)
        found = await asyncio.gather(*(attempt(turns, "a", "10.0.0.1") for _unused in range(5)))
        assert sum(one is not None for one in found) == 2
        assert await attempt(turns, "a", "10.0.0.1") is not None

    run(scene)


def test_a_request_that_is_cancelled_while_it_waits_gives_its_turn_back() -> None:
    async def scene() -> None:
        turns = Turns(TurnBounds(at_once=1, spacing=0, of_address=99, in_all=99, patience=50), freely)
        for steps in range(20):
            tasks = [asyncio.create_task(attempt(turns, "a", "10.0.0.1")) for _unused in range(3)]
            for _unused in range(steps):
                await asyncio.sleep(0)
            for task in tasks[:2]:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert await attempt(turns, "a", "10.0.0.1") is not None

    run(scene)


def test_who_hangs_up_takes_no_turn() -> None:
    async def leaves() -> None:
        await asyncio.sleep(0.1)

    async def scene() -> None:
        turns = Turns(TurnBounds(at_once=1, spacing=0, of_address=99, in_all=99, patience=50), freely)
        first = asyncio.create_task(attempt(turns, "a", "10.0.0.1"))
        await asyncio.sleep(0)
        ghosts = [asyncio.create_task(attempt(turns, "a", "10.0.0.2", leaves)) for _unused in range(50)]
        last = asyncio.create_task(attempt(turns, "a", "10.0.0.2"))
        assert await last == CHECK_SECONDS
        gone = await asyncio.gather(*ghosts, return_exceptions=True)
        assert [type(one) for one in gone] == [ClientGoneError] * 50
        await first

    run(scene)
