# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's parts, wired together: state, jobs, queries, schedules, API."""

from __future__ import annotations

from types import TracebackType

from papi_backup.config import Settings
from papi_backup.jobs.heartbeat import Heartbeat, stuck
from papi_backup.jobs.query_helper import QueryHelper
from papi_backup.jobs.supervisor import JobSupervisor, describe
from papi_backup.scheduler.loop import Scheduler
from papi_backup.state.store import Store


class Agent:
    """All parts of one running agent.  Use it as a context manager; call from one thread."""

    def __init__(self, settings: Settings, store: Store) -> None:
        """Wire the parts; nothing runs yet."""
        self.settings = settings
        self._store = store
        self._jobs = JobSupervisor(store, settings)
        self._queries = QueryHelper()
        self._scheduler = Scheduler(store, settings, self._jobs.enqueue_backup)
        self._watched: tuple[Heartbeat, ...] = ()

    @classmethod
    def open(cls, settings: Settings) -> Agent:
        """Open the state and claim it.  Raises :class:`StateError`, also when another agent has it."""
        store = Store.open(settings.state_dir, session_idle_seconds=settings.api.session_idle_seconds)
        try:
            store.claim()
            return cls(settings, store)
        except BaseException:
            store.close()
            raise

    def __enter__(self) -> Agent:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start all parts; when this returns, the API answers.  Raises :class:`OSError` or PapiError."""
        self._jobs.start()
        self._scheduler.start()
        self._watched = (self._jobs.heartbeat, self._scheduler.heartbeat)

    def refuse_requests(self) -> None:
        """Stop listening and start no further job."""
        self._watched = (self._jobs.heartbeat,)
        self._scheduler.stop()
        self._jobs.drain()

    @property
    def drained(self) -> bool:
        """Whether no job runs any more, after :meth:`refuse_requests`."""
        return self._jobs.drained

    def close(self) -> None:
        """Stop whatever still runs, running jobs included, and close the state."""
        self._scheduler.stop()
        self._jobs.stop(timeout=0)
        self._queries.stop()
        self._store.close()

    def stuck(self) -> tuple[str, ...]:
        """Return the names of loops that have been silent for too long."""
        return stuck(self._watched)

    def status(self) -> str:
        """Return one line for a person: what runs, or what comes next.  Raises :class:`PapiError`."""
        running = self._jobs.running_jobs()
        if running:
            return "running: " + ", ".join(f"job {job.job_id}, {describe(job)}" for job in running)
        upcoming = self._scheduler.upcoming()
        if upcoming is None:
            return "idle; nothing is scheduled"
        return f"idle; next: {upcoming.backup_type} backup of {upcoming.backup_name!r} at {upcoming.run}"
