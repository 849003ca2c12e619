# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cookies that were good a moment ago.

They decide which threads look at a request and nothing else: whether a session still is one is looked up for
each call.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable

SECONDS = 30.0
_MOST = 1024


class GoodCookies:
    """To be used in one event loop alone."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """None is known yet."""
        self._monotonic = monotonic
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def note(self, token: str) -> None:
        """Remember that ``token`` is a session's."""
        digest = _digest(token)
        self._until[digest] = self._monotonic() + SECONDS
        self._until.move_to_end(digest)
        if len(self._until) > _MOST:
            self._until.popitem(last=False)

    def __contains__(self, token: str) -> bool:
        if not token or not self._until:
            return False
        until = self._until.get(_digest(token))
        return until is not None and until >= self._monotonic()

    def was_good(self, token: str) -> bool:
        """Whether ``token`` was noted at any time and not forgotten since."""
        return bool(token) and _digest(token) in self._until

    def forget(self, token: str) -> None:
        """Forget a token whose session has ended."""
        self._until.pop(_digest(token), None)


def _digest(token: str) -> bytes:
    """A table of tokens themselves would be worth reading."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
