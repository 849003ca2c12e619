# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signs of life of the agent's loops; the systemd watchdog is fed only while all of them beat."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable


class Heartbeat:
    """The last time a loop said that it lives.  Written by one thread, read by another."""

    def __init__(self, name: str, limit: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        """``limit``: seconds of silence after which the loop counts as stuck."""
        self.name = name
        self.limit = limit
        self._monotonic = monotonic
        self._last = monotonic()

    def beat(self) -> None:
        """Say "alive"."""
        self._last = self._monotonic()

    @property
    def age(self) -> float:
        """Seconds since the last beat."""
        return self._monotonic() - self._last

    @property
    def alive(self) -> bool:
        """Whether the loop has beaten within its limit."""
        return self.age <= self.limit


def stuck(heartbeats: Iterable[Heartbeat]) -> tuple[str, ...]:
    """Return the names of the loops that have been silent for too long."""
    return tuple(heartbeat.name for heartbeat in heartbeats if not heartbeat.alive)
