# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sees the value of an API token in a request before anybody parses the request.

What is seen decides which threads look at the request and nothing else: whether the token is one, and whether
its name goes with it, is verified for each call.
"""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import islice
from urllib.parse import unquote_to_bytes

from papi_backup.model.errors import PapiError
from papi_backup.state.tokens import PREFIX, RANDOM_CHARACTERS, hash_of

log = logging.getLogger(__name__)

REFRESH_SECONDS = 1.0
_WINDOW_BYTES = 8 << 10
"""At the beginning of a text and at its end, where clients put credentials: a search of a mebibyte for each
request would keep the event loop busy."""

_MOST_VALUES = 4
"""Of each window; each costs a hash."""

_SHAPE = re.compile(
    re.escape(PREFIX.removesuffix("_")).encode()
    # Values need no quoting, and few clients quote "-" and "_" all the same.
    + rb"(?:_|%%5[Ff])(?:[A-Za-z0-9_-]|%%[0-9A-Fa-f]{2}){%d}" % RANDOM_CHARACTERS
)


class TokenSight:
    """To be used in one event loop alone."""

    def __init__(
        self,
        read: Callable[[], Awaitable[frozenset[bytes]]],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``read`` returns the hashes of all tokens; it may raise :class:`PapiError`."""
        self._read = read
        self._monotonic = monotonic
        self._hashes: frozenset[bytes] = frozenset()
        self._refreshed = -math.inf

    async def sees(self, *texts: bytes) -> bool:
        """Whether the value of a token stands near the beginning or the end of a text."""
        seen = {hash_of(value) for text in texts for value in _values(text)}
        if not seen:
            return False
        await self._refresh()
        return not seen.isdisjoint(self._hashes)

    async def _refresh(self) -> None:
        """Read the hashes anew where it is time to; meanwhile others go by what was read before."""
        now = self._monotonic()
        if now - self._refreshed < REFRESH_SECONDS:
            return
        self._refreshed = now
        try:
            self._hashes = await self._read()
        except PapiError as error:
            log.warning("the API tokens cannot be read: %s", error.message)


def _values(text: bytes) -> Iterator[bytes]:
    """Find what looks like the value of a token, in a query, a form, JSON or a part alike."""
    windows = [text] if len(text) <= 2 * _WINDOW_BYTES else [text[:_WINDOW_BYTES], text[-_WINDOW_BYTES:]]
    for window in windows:
        for found in islice(_SHAPE.finditer(window), _MOST_VALUES):
            yield unquote_to_bytes(found[0])
