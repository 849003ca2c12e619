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
        yield PlannedRun(instant.astimezone(zone), next(together)[1])


def next_of_each(
    full: Schedule, inc: Schedule, after: datetime, zone: tzinfo, *, count: int, minute: int = 0
) -> NextRuns:
    """Return up to ``count`` runs of each type later than ``after`` (aware).

    Incremental ones are sought among the next ``LOOKED_AT`` of their schedule.  Raises ValueError as
    next_runs does.
    """
    looked_at = itertools.islice(runs(inc, after, zone, minute), LOOKED_AT)
    free = (run for run in looked_at if not _runs_at(full, run, zone, minute))
    return NextRuns(tuple(next_runs(full, after, zone, count, minute)), tuple(itertools.islice(free, count)))


def _typed(
    schedule: Schedule, kind: BackupType, after: datetime, zone: tzinfo, minute: int
) -> Iterator[tuple[datetime, BackupType]]:
    return ((run.astimezone(UTC), kind) for run in runs(schedule, after, zone, minute))


def _runs_at(schedule: Schedule, run: datetime, zone: tzinfo, minute: int) -> bool:
    instant = run.astimezone(UTC)
    found = next(runs(schedule, instant - timedelta(seconds=1), zone, minute), None)
    return found is not None and found.astimezone(UTC) == instant
