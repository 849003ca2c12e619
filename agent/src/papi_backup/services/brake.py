# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Slows down whoever keeps failing to log in (docs/accounts.md, "Failed logins")."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from papi_backup.model.errors import TooManyRequestsError

MAXIMUM_KEYS = 10_000
FORGET_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Limit:
    """``free`` attempts cost nothing; then each failure doubles the wait, from 1 s to ``longest`` seconds."""

    free: int
    longest: float

    def wait(self, failures: int) -> float:
        """Return how many seconds to wait after that many failures in a row."""
        beyond = failures - self.free
        return 0.0 if beyond < 0 else min(self.longest, 2.0 ** min(beyond, 30))


@dataclass(frozen=True, slots=True)
class BrakeKey:
    """One thing failures are counted by."""

    what: str
    limit: Limit


@dataclass(slots=True)
class _Failures:
    count: int
    last: float


class FailureBrake:
    """Counts failures in memory, by several keys at once; old and surplus counts are forgotten."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def check(self, keys: Sequence[BrakeKey]) -> None:
        """Raise :class:`TooManyRequestsError` while any key has to wait."""
        refuse_for(self.remaining(keys))

    def remaining(self, keys: Sequence[BrakeKey]) -> float:
        """Return for how many seconds any key still has to wait."""
        now = self._monotonic()
        with self._lock:
            return max(self._remaining(key, now) for key in keys)

    def is_free(self, key: BrakeKey) -> bool:
        """Whether another attempt at a key costs nothing."""
        now = self._monotonic()
        with self._lock:
            known = self._failures.get(key.what)
            return known is None or now - known.last > FORGET_SECONDS or known.count < key.limit.free

    def failed(self, keys: Sequence[BrakeKey]) -> None:
        """Count a failure for every key."""
        now = self._monotonic()
        with self._lock:
            for key in keys:
                known = self._failures.pop(key.what, None)
                fresh = known is None or now - known.last > FORGET_SECONDS
                count = 1 if known is None or fresh else known.count + 1
                self._failures[key.what] = _Failures(count, now)
            while len(self._failures) > MAXIMUM_KEYS:
                self._failures.popitem(last=False)

    def succeeded(self, key: BrakeKey) -> None:
        """Forget the failures of a key."""
        with self._lock:
            self._failures.pop(key.what, None)

    def _remaining(self, key: BrakeKey, now: float) -> float:
        known = self._failures.get(key.what)
        return known.last + key.limit.wait(known.count) - now if known else 0.0


def refuse_for(seconds: float) -> None:
    """Raise :class:`TooManyRequestsError` for somebody who has to wait for so long; 0: nothing happens."""
    if seconds > 0:
        raise TooManyRequestsError(f"Too many failed logins; try again in {math.ceil(seconds)} s.")
