# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The value of an API token is seen wherever clients put it, without parsing what strangers send."""

from __future__ import annotations

import asyncio
import json
import secrets
from urllib.parse import urlencode

import pytest

from papi_backup.api.token_sight import REFRESH_SECONDS, TokenSight
from papi_backup.model.errors import InternalError
from papi_backup.state.tokens import PREFIX, hash_of

VALUE = "pbt_-_" + secrets.token_urlsafe(64)[:41]
OTHER = "pbt_" + "x" * 43


class Table:
    """The hashes of tokens, and how often they were read."""

    def __init__(self, *values: str) -> None:
        self.values = list(values)
        self.now = 100.0
        self.reads = 0
        self.fails = False

    async def read(self) -> frozenset[bytes]:
        self.reads += 1
        if self.fails:
            raise InternalError("the disk is full")
        return frozenset(hash_of(value.encode()) for value in self.values)

    def sight(self) -> TokenSight:
        return TokenSight(self.read, lambda: self.now)


FIELDS = {"key": "ci", "api_token": VALUE}
PART = f'--b\r\nContent-Disposition: form-data; name="api_token"\r\n\r\n{VALUE}\r\n--b--\r\n'
SEEN: dict[str, bytes] = {
    "a form": urlencode(FIELDS).encode(),
    "a form whose value is quoted": f"api_token={VALUE.replace('_', '%5f').replace('-', '%2D')}".encode(),
    "JSON": json.dumps(FIELDS).encode(),
    "a part": PART.encode(),
    "the end of a large form": b"paths=" + b"%2Fa" * 200_000 + b"&" + urlencode(FIELDS).encode(),
    "the beginning of a large form": urlencode(FIELDS).encode() + b"&paths=" + b"a" * 900_000,
    "a form with another one before": urlencode({"description": OTHER, **FIELDS}).encode(),
}
NOT_SEEN: dict[str, bytes] = {
    "nothing": b"",
    "another value": f"api_token={OTHER}".encode(),
    "a value that is cut": f"api_token={VALUE[:-1]}".encode(),
    "the prefix alone": PREFIX.encode() * 2_000,
    "the middle of a large body": b"a" * 100_000 + VALUE.encode() + b"a" * 100_000,
}


@pytest.mark.parametrize("where", SEEN)
def test_it_is_seen_in(where: str) -> None:
    sight = Table("another", VALUE).sight()
    assert asyncio.run(sight.sees(b"", SEEN[where]))
    assert asyncio.run(sight.sees(SEEN[where], b""))


@pytest.mark.parametrize("where", NOT_SEEN)
def test_no_token_is_seen_in(where: str) -> None:
    assert not asyncio.run(Table(VALUE).sight().sees(b"", NOT_SEEN[where]))


def test_the_table_is_read_for_what_looks_like_a_token_and_no_more_than_once_a_second() -> None:
    table = Table()
    sight = table.sight()
    for body in (b"api_token=x", b"", b"username=a&password=b"):
        assert not asyncio.run(sight.sees(body))
    assert table.reads == 0
    for _unused in range(50):
        assert not asyncio.run(sight.sees(OTHER.encode()))
    assert table.reads == 1


def test_a_new_token_is_seen_after_a_second_and_a_revoked_one_no_more() -> None:
    table = Table(VALUE)
    sight = table.sight()
    assert asyncio.run(sight.sees(VALUE.encode()))
    table.values = [OTHER]
    table.now += REFRESH_SECONDS
    assert not asyncio.run(sight.sees(VALUE.encode()))
    assert asyncio.run(sight.sees(OTHER.encode()))


def test_a_table_that_cannot_be_read_changes_nothing() -> None:
    table = Table(VALUE)
    sight = table.sight()
    assert asyncio.run(sight.sees(VALUE.encode()))
    table.fails = True
    table.now += REFRESH_SECONDS
    assert asyncio.run(sight.sees(VALUE.encode()))
