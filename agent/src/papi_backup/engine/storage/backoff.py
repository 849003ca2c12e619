# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often something is tried again, after how long, and when it is given up."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from random import SystemRandom
from typing import TypeVar

from papi_backup.engine.storage.connecting import TransientError, UnreachableError
from papi_backup.model.errors import TransferError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Bounded attempts with exponential, jittered pauses.

    ``attempts`` counts the first one too; 1 means "never again".  Delays and ``total``, the time
    one operation may take with all its repetitions, are seconds.
    """

    attempts: int = 7
    first_delay: float = 0.5
    longest_delay: float = 20.0
    total: float = 900.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    random: Callable[[], float] = SystemRandom().random

    def delay(self, failures: int) -> float:
        """Return how long to wait after the ``failures``-th failure in a row (from 1): half to whole."""
        longest: float = min(self.longest_delay, self.first_delay * 2.0 ** (failures - 1))
        return longest * (0.5 + self.random() / 2)


class Attempts:
    """Counts the failures in a row of one operation, which ``doing`` names for a person."""

    def __init__(self, policy: RetryPolicy, doing: str) -> None:
        self._policy = policy
        self._doing = doing
        self.progressed()

    def progressed(self) -> None:
        """Begin counting anew: something has been achieved since the last failure."""
        self._failures = 0
        self._deadline = self._policy.clock() + self._policy.total

    def failed(self, error: Exception) -> None:
        """Wait before the next attempt; raises :class:`TransferError` when it is to be given up."""
        self._failures += 1
        pause = self._policy.delay(self._failures)
        if self._failures >= self._policy.attempts or self._policy.clock() + pause > self._deadline:
            times = "1 attempt" if self._failures == 1 else f"{self._failures} attempts"
            raise TransferError(f"{self._doing}: given up after {times}: {error}") from error
        self._policy.sleep(pause)


def persistently(operation: Callable[[], T], policy: RetryPolicy, doing: str) -> T:
    """Return ``operation()``, repeated after failures that may pass; it must be safe to repeat.

    Raises :class:`TransferError` (4005) naming ``doing`` when it is given up.
    """
    attempts = Attempts(policy, doing)
    while True:
        try:
            return operation()
        except (TransientError, UnreachableError) as error:
            attempts.failed(error)


ONCE = RetryPolicy(attempts=1)
"""Tries once: for tests of a storage, where a person waits for the answer."""
