# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The priority of a job for CPU and disks, which the time of day may change while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from papi_backup.jobs.isolation import Priority, own_priority, set_priority
from papi_backup.model.limits import UNLIMITED, Limits

LOOK_SECONDS = 10.0
"""How often a running job looks at the clock."""


class JobPriority:
    """Priority of this process's group: what the settings of jobs say, or a window of ``limits``."""

    def __init__(
        self,
        nice: int,
        ionice: str,
        *,
        own: Callable[[], Priority] = own_priority,
        put: Callable[[Priority], None] = set_priority,
        now: Callable[[ZoneInfo], datetime] = datetime.now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``nice`` is added to the niceness that this process has now; ``ionice`` "none" is its I/O class."""
        self._usual = (nice, ionice)
        self._own = own()
        self._put = put
        self._now = now
        self._monotonic = monotonic
        self._limits = UNLIMITED
        self._zone = ZoneInfo(UNLIMITED.zone)
        self._next_look = 0.0
        self._is = self._usual
        put(self._own.lowered(nice, ionice))

    def follow(self, limits: Limits) -> None:
        """From now on do as ``limits`` says."""
        self._limits = limits
        self._zone = ZoneInfo(limits.zone)
        self._next_look = self._monotonic()
        self.look()

    def look(self) -> None:
        """Change the priority if the time has come; cheap, to be called again and again."""
        if not self._limits.change_priority or self._monotonic() < self._next_look:
            return
        self._next_look = self._monotonic() + LOOK_SECONDS
        allowed = self._limits.at(self._now(self._zone))
        nice, ionice = self._usual
        wanted = (
            nice if allowed.nice is None else allowed.nice,
            ionice if allowed.ionice is None else allowed.ionice,
        )
        if wanted != self._is:
            self._is = wanted
            self._put(self._own.lowered(*wanted))
