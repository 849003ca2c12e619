# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Large bodies of strangers have a few places, and each place is given back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from papi_backup.api.request import BadBodyError, BodyReader, Limits


async def unknown(begun: bytes = b"") -> bool:
    """Be a stranger."""
    del begun
    return False


async def never() -> dict[str, Any]:
    """Send nothing more."""
    await asyncio.Event().wait()
    raise AssertionError


def whole(size: int) -> Any:
    """Send a body in two pieces."""
    pieces = iter([b"x" * (size - 1), b"x"])

    async def receive() -> dict[str, Any]:
        piece = next(pieces)
        return {"type": "http.request", "body": piece, "more_body": len(piece) > 1}

    return receive


class Sender:
    """Sends a large piece and then nothing more."""

    def __init__(self) -> None:
        self._sent = False

    async def __call__(self) -> dict[str, Any]:
        if self._sent:
            await never()
        self._sent = True
        return {"type": "http.request", "body": b"x" * 20, "more_body": True}


@pytest.mark.parametrize("expires_early", [False, True])
def test_a_place_is_free_again_whenever_the_one_that_is_given_up_expires(expires_early: bool) -> None:
    async def scene() -> None:
        reader = BodyReader(Limits(body=100, small_body=10, large_bodies=1, body_seconds=30))
        first = asyncio.create_task(reader.read(Sender(), unknown))
        await asyncio.sleep(0)
        (deadline,) = reader._large
        if expires_early:
            # As the event loop does when the time is over; the task has had no turn yet.
            deadline._on_timeout()
        second = reader.read(whole(50), unknown)
        assert await second == b"x" * 50
        with pytest.raises(BadBodyError):
            await first
        assert await reader.read(whole(50), unknown) == b"x" * 50
        assert not reader._large

    asyncio.run(scene())


def test_the_beginning_of_a_large_body_may_tell_that_its_caller_is_known() -> None:
    async def scene() -> None:
        async def known(begun: bytes) -> bool:
            return begun == b"x" * 20

        reader = BodyReader(Limits(body=100, small_body=10, large_bodies=0))
        parts = iter([b"x" * 20, b"y" * 30])

        async def receive() -> dict[str, Any]:
            piece = next(parts)
            return {"type": "http.request", "body": piece, "more_body": piece[:1] == b"x"}

        assert await reader.read(receive, known) == b"x" * 20 + b"y" * 30

    asyncio.run(scene())
