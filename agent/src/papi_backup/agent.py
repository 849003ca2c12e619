# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's parts, wired together: state, jobs, queries, schedules, API."""

from __future__ import annotations

import logging
from functools import partial
from types import TracebackType

from papi_backup.api.server import ApiServer
from papi_backup.config import Settings
from papi_backup.jobs.heartbeat import stuck
from papi_backup.jobs.host_keys import pin_host_key
from papi_backup.jobs.query_helper import QueryHelper
from papi_backup.jobs.supervisor import JobSupervisor, describe
from papi_backup.scheduler.loop import Scheduler
from papi_backup.services.container import Services
from papi_backup.state.store import Store

log = logging.getLogger(__name__)

LOST = (
    "the state is new and empty, though its key was there: storages, backup configurations and the job"
    " history are gone, unless this host never had any"
)
REQUEST_SECONDS = 5.0
"""How long a stopping agent lets requests under way end."""


class Agent:
    """All parts of one running agent.  Use it as a context manager; call from one thread."""

    def __init__(self, settings: Settings, store: Store) -> None:
        """Wire the parts; nothing runs yet.  Raises :class:`InvalidParameterError` for settings of no use."""
        self.settings = settings
        self._store = store
        self._queries = QueryHelper(seen=partial(pin_host_key, store))
        self._jobs = JobSupervisor(store, settings, self._queries.find_backup)
        self._scheduler = Scheduler(store, settings, self._jobs.enqueue_backup)
        services = Services.create(store, settings, self._jobs, self._queries)
        self._api = ApiServer(settings, services, store.instance_id)
        self._serving = False

    @classmethod
    def open(cls, settings: Settings) -> Agent:
        """Open the state and claim it.  Raises :class:`StateError`, also when another agent has it."""
        store = Store.open(settings.state_dir, session_idle_seconds=settings.api.session_idle_seconds)
        try:
            store.claim()
            if store.is_lost:
                log.warning("%s", LOST)
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
        """Start all parts; when this returns, the API answers.  Raises :class:`PapiError`."""
        # First what may fail, such as a port that is taken: no job shall have begun by then.
        self._api.start()
        self._serving = True
        self._jobs.start()
        self._scheduler.start()

    def refuse_requests(self) -> None:
        """Start no further job, and stop listening; harmless when it is done already."""
        self._scheduler.stop()
        self._jobs.drain()
        if self._serving:
            self._serving = False
            self._api.stop(REQUEST_SECONDS)

    @property
    def drained(self) -> bool:
        """Whether no job runs any more, after :meth:`refuse_requests`."""
        return self._jobs.drained

    def close(self) -> None:
        """Stop whatever still runs, running jobs included, and close the state."""
        self.refuse_requests()
        self._jobs.stop(timeout=0)
        self._queries.stop()
        self._store.close()

    def stuck(self) -> tuple[str, ...]:
        """Return the names of loops that should run and have been silent for too long."""
        heartbeats = [self._jobs.heartbeat]
        if self._serving:
            heartbeats += [*self._api.heartbeats, self._scheduler.heartbeat]
        return stuck(heartbeats)

    def status(self) -> str:
        """Return one line for a person: what runs, or what comes next.  Raises :class:`PapiError`."""
        running = self._jobs.running_jobs()
        if running:
            return "running: " + ", ".join(f"job {job.job_id}, {describe(job)}" for job in running)
        upcoming = self._scheduler.upcoming()
        if upcoming is None:
            return LOST if self._store.is_lost else "idle; nothing is scheduled"
        return f"idle; next: {upcoming.backup_type} backup of {upcoming.backup_name!r} at {upcoming.run}"
