# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often something is tried again, and after how long."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from random import SystemRandom


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Bounded attempts with exponential, jittered pauses.

    ``attempts`` counts the first one too; 1 means "never again".  Delays are seconds.
    """

    attempts: int = 6
    first_delay: float = 0.5
    longest_delay: float = 20.0
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = SystemRandom().random

    def delay(self, failures: int) -> float:
        """Return how long to wait after the ``failures``-th failure in a row (from 1): half to whole."""
        longest: float = min(self.longest_delay, self.first_delay * 2.0 ** (failures - 1))
        return longest * (0.5 + self.random() / 2)

    def pause(self, failures: int) -> bool:
        """Wait after the ``failures``-th failure in a row; False when all attempts are used up."""
        if failures >= self.attempts:
            return False
        self.sleep(self.delay(failures))
        return True


ONCE = RetryPolicy(attempts=1)
"""Tries once: for tests of a storage, where a person waits for the answer."""
