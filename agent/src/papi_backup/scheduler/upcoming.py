# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the two schedules of a configuration will do together: the full wins (docs/schedules.md)."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from operator import itemgetter

from papi_backup.model.schedule import BackupType, Schedule
from papi_backup.scheduler.schedule import next_runs, runs

LOOKED_AT = 366
"""How many incremental runs are looked at for ones that no full takes: a year of daily ones."""
_STEPS = 8


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A run of a configuration."""

    instant: datetime
    backup_type: BackupType


@dataclass(frozen=True, slots=True)
class NextRuns:
    """The next runs of both schedules, ascending; what a full takes from an incremental is in ``full``."""

    full: tuple[datetime, ...] = ()
    inc: tuple[datetime, ...] = ()


def planned_runs(
    full: Schedule, inc: Schedule, after: datetime, zone: tzinfo, minute: int = 0
) -> Iterator[PlannedRun]:
    """Yield what will run later than ``after`` (aware), ascending.  Raises ValueError as next_runs does."""
    both = heapq.merge(_typed(full, "full", after, zone, minute), _typed(inc, "inc", after, zone, minute))
    for instant, together in itertools.groupby(both, key=itemgetter(0)):
        # "full" sorts before "inc".
        first = next(together, None)  # a group is never empty
        if first is not None:
            yield PlannedRun(instant.astimezone(zone), first[1])


def next_of_each(
    full: Schedule, inc: Schedule, after: datetime, zone: tzinfo, *, count: int, minute: int = 0
) -> NextRuns:
    """Return up to ``count`` runs of each type later than ``after`` (aware).

    Incremental ones are sought among the next ``LOOKED_AT`` of their schedule.  Raises ValueError as
    next_runs does.
    """
    looked_at = itertools.islice(runs(inc, after, zone, minute), LOOKED_AT)
    taken = _Taken(full, after, zone, minute)
    free = (run for run in looked_at if run.astimezone(UTC) not in taken)
    return NextRuns(tuple(next_runs(full, after, zone, count, minute)), tuple(itertools.islice(free, count)))


def _typed(
    schedule: Schedule, kind: BackupType, after: datetime, zone: tzinfo, minute: int
) -> Iterator[tuple[datetime, BackupType]]:
    return ((run.astimezone(UTC), kind) for run in runs(schedule, after, zone, minute))


class _Taken:
    """Tells which of ascending instants are runs of a full schedule, walking along with them."""

    def __init__(self, full: Schedule, after: datetime, zone: tzinfo, minute: int) -> None:
        self._full, self._zone, self._minute = full, zone, minute
        self._runs = runs(full, after, zone, minute)
        self._next = self._following()

    def __contains__(self, instant: datetime) -> bool:
        """Whether a full runs at ``instant``, which is later than the one asked for before."""
        for _unused in range(_STEPS):
            if self._next is None or self._next >= instant:
                break
            self._next = self._following()
        else:
            # Far behind: a leap is dearer than a step, and cheaper than many.
            self._runs = runs(self._full, instant - timedelta(seconds=1), self._zone, self._minute)
            self._next = self._following()
        return self._next == instant

    def _following(self) -> datetime | None:
        run = next(self._runs, None)
        return None if run is None else run.astimezone(UTC)
