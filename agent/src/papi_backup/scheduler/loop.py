# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The thread that queues backups when they are due (docs/schedules.md)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from papi_backup.config import Settings
from papi_backup.jobs.heartbeat import Heartbeat
from papi_backup.model.errors import PapiError
from papi_backup.model.job import Job
from papi_backup.model.schedule import BackupConfig, BackupType, Schedule
from papi_backup.scheduler.schedule import first_missed, minute_of, next_runs
from papi_backup.state.store import Store

log = logging.getLogger(__name__)

Enqueue = Callable[[BackupConfig, BackupType, str], Job]
"""Queues a backup under a request id; a request id that was used before queues nothing."""

TYPES: tuple[BackupType, ...] = ("full", "inc")
INTERVAL = 10.0
STUCK_SECONDS = 60.0
TOO_FAR_AHEAD = timedelta(days=1)
"""A last run this far in the future was written by a clock that was wrong.

Dates of backups have the same bound (docs/design.md, "Chains").
"""


@dataclass(frozen=True, slots=True)
class Upcoming:
    """The next scheduled run of all configurations."""

    run: datetime
    backup_name: str
    backup_type: BackupType


class Scheduler:
    """Looks every ``interval`` seconds for what became due since it was last served.

    What became due while the host was off or asleep is served once.  Times are kept in the state:
    a restart neither loses nor repeats a run.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        enqueue: Enqueue,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        interval: float = INTERVAL,
    ) -> None:
        self.heartbeat = Heartbeat("scheduler", STUCK_SECONDS + interval)
        self._store = store
        self._settings = settings
        self._enqueue = enqueue
        self._clock = clock
        self._interval = interval
        self._minute = minute_of(settings.host_name)
        self._seen: dict[tuple[int, BackupType], Schedule] = {}
        self._looked: datetime | None = None
        self._stopping = False
        self._bell = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)

    def start(self) -> None:
        """Begin; the first look is at once, for what was missed."""
        self._thread.start()

    def stop(self) -> None:
        """Queue nothing more."""
        self._stopping = True
        self._bell.set()
        if self._thread.ident is not None:
            self._thread.join()

    def tick(self) -> None:
        """Queue what is due now.  A configuration that cannot be served does not keep others waiting."""
        now = self._clock()
        for config in self._store.configs.list():
            try:
                self._serve(config, now)
            except (PapiError, ValueError) as error:
                log.error("the schedule of backup %r cannot be served: %s", config.backup_name, error)
        self._looked = now

    def upcoming(self) -> Upcoming | None:
        """Return the next run of all, or None when nothing is scheduled."""
        now = self._clock()
        found: list[Upcoming] = []
        for config in self._store.configs.list():
            for kind in TYPES:
                # A schedule out of bounds never runs; tick() says so.
                with suppress(ValueError):
                    runs = next_runs(_schedule(config, kind), now, self._settings.zone, 1, self._minute)
                    found.extend(Upcoming(run, config.backup_name, kind) for run in runs)
        return min(found, key=lambda upcoming: upcoming.run, default=None)

    def _run(self) -> None:
        while not self._stopping:
            self.heartbeat.beat()
            try:
                self.tick()
            except Exception:  # the thread's outermost edge: logged, and tried again
                log.exception("schedules cannot be served; trying again")
            self._bell.wait(self._interval)
            self._bell.clear()

    def _serve(self, config: BackupConfig, now: datetime) -> None:
        due = {kind: run for kind in TYPES if (run := self._due(config, kind, now))}
        if not due:
            return
        # Where both fall together the full runs, and it serves the incremental too.
        kind: BackupType = "full" if "full" in due else "inc"
        if self._waits_already(config, kind):
            log.info("%s backup of %r is due, but one waits already", kind, config.backup_name)
        else:
            run = due[kind].astimezone(UTC)
            when = run.isoformat(timespec="seconds")
            # With the name, because an id that was used for another is refused, and would be for ever.
            request_id = f"schedule:{config.backup_id}:{kind}:{when}:{config.backup_name}"
            job = self._enqueue(config, kind, request_id)
            log.info("%s backup of %r due at %s: job %d", kind, config.backup_name, due[kind], job.job_id)
        # Both or neither: after a crash between the two, the incremental would run beside its full.
        with self._store.transaction():
            for served in due:
                self._store.schedule_state.set_last_run(config.backup_id, served, now)

    def _due(self, config: BackupConfig, kind: BackupType, now: datetime) -> datetime | None:
        """Return the first run that was not served; a new or changed schedule owes nothing for the past."""
        schedule = _schedule(config, kind)
        before = self._seen.get((config.backup_id, kind), schedule)
        run = None
        if schedule.period != "deactivated":
            last = self._store.schedule_state.last_run(config.backup_id, kind)
            if last is None or before != schedule or last > now + TOO_FAR_AHEAD:
                self._store.schedule_state.set_last_run(config.backup_id, kind, self._noticed_since(now))
            else:
                run = first_missed(schedule, last, now, self._settings.zone, self._minute)
        self._seen[config.backup_id, kind] = schedule
        return run

    def _noticed_since(self, now: datetime) -> datetime:
        """Return since when a change that is noticed now may have been there: the last look, if recent.

        A run that fell between the change and this look would be lost otherwise.
        """
        recent = now - timedelta(seconds=2 * self._interval)
        return now if self._looked is None else min(now, max(self._looked, recent))

    def _waits_already(self, config: BackupConfig, kind: BackupType) -> bool:
        """Whether the queue holds what serves this run: the same, or a full in an incremental's place."""
        serving: tuple[BackupType, ...] = ("full",) if kind == "full" else TYPES
        last = (self._store.jobs.last(config.backup_name, each) for each in serving)
        return any(job is not None and job.job_status == "waiting" for job in last)


def _schedule(config: BackupConfig, kind: BackupType) -> Schedule:
    return config.full if kind == "full" else config.inc
