# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs: run, restore, list (docs/api.md)."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from papi_backup.config import Settings
from papi_backup.jobs.attempts import PREFIX
from papi_backup.jobs.order_builder import OrderBuilder
from papi_backup.model.errors import InvalidParameterError
from papi_backup.model.job import (
    Job,
    Overwrite,
    Progress,
    RestoreOptions,
    RestorePlanSummary,
    cancellation,
    failed,
    waiting,
)
from papi_backup.model.schedule import BackupType
from papi_backup.model.secret import Secret
from papi_backup.model.storage import StorageConfig
from papi_backup.services.change import Change
from papi_backup.services.ports import JobQueue, StorageQueries
from papi_backup.state.jobs import JobExtent
from papi_backup.state.store import Store


@dataclass(frozen=True, slots=True)
class RestoreFields:
    """What restore_backup says.  ``restore_date`` is aware; a blank ``hostname`` is this host's."""

    storage_name: str
    backup_name: str
    restore_date: datetime
    encryption_key: Secret
    hostname: str = ""
    target_dir: str = ""
    include: tuple[str, ...] = ()
    overwrite: Overwrite = "changed"
    numeric_owner: bool = False


class JobService:
    """The verbs on jobs.  Unknown names raise :class:`NoSuchEntityError`."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        queue: JobQueue,
        queries: StorageQueries,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._settings = settings
        self._queue = queue
        self._queries = queries
        self._clock = clock

    def list(self) -> builtins.list[Job]:
        """Return the history in creation order."""
        return self._store.jobs.list()

    def progress(self, job: Job) -> Progress | None:
        """Return how far a running job is; None for any other."""
        return self._queue.progress(job.job_id) if job.job_status == "running" else None

    def cancel(self, job_id: int, by: str, *, apply: bool) -> Change[Job]:
        """End a job that waits or runs, in the name of ``by``; one that has ended stays as it is.

        A waiting job has failed when this returns, a running one fails as soon as its worker has ended.
        """
        before = self._store.jobs.get(job_id)
        if before.end_date is not None:
            return Change(False, before, before)
        if apply:
            return Change(True, before, self._queue.cancel(job_id, by))
        return Change(True, before, failed(before, cancellation(by), self._clock()))

    def endings(self) -> builtins.list[tuple[int, bool]]:
        """Return each job's id, and whether it has ended and never changes again, in creation order."""
        return self._store.jobs.endings()

    def extent(self) -> JobExtent:
        """Return what tells, without reading the history, whether the same jobs are there and have ended."""
        return self._store.jobs.extent()

    def some(self, job_ids: Collection[int]) -> builtins.list[Job]:
        """Return those of these jobs that there are, in creation order."""
        return self._store.jobs.some(job_ids)

    def run_backup(
        self, backup_name: str, backup_type: BackupType, request_id: str = "", *, apply: bool
    ) -> Change[Job]:
        """Queue a backup.

        A ``request_id`` that was used before returns the job it made then; one that was used for something
        else, or that is kept for the agent's own jobs, is :class:`InvalidParameterError`.
        """
        _refuse_reserved(request_id)
        with self._store.undisturbed():
            earlier = self._store.jobs.earlier(request_id, "backup", backup_name)
            if earlier is not None:
                return Change(False, earlier, earlier)
            config = self._store.configs.by_name(backup_name)
            if not apply:
                planned = waiting("backup", backup_name, backup_type, self._clock())
                return Change(True, None, planned)
            return Change(True, None, self._queue.enqueue_backup(config, backup_type, request_id))

    def restore(self, fields: RestoreFields, request_id: str = "") -> Job:
        """Queue a restore; ``request_id`` as in :meth:`run_backup`.

        Only the storage's name is checked here: what is wrong with key, date or storage shows in the job.
        """
        _refuse_reserved(request_id)
        earlier = self._store.jobs.earlier(request_id, "restore", fields.backup_name)
        if earlier is not None:
            return earlier
        storage = self._store.storages.by_name(fields.storage_name)
        return self._queue.enqueue_restore(self._options(fields, storage), request_id)

    def plan_restore(self, fields: RestoreFields) -> RestorePlanSummary:
        """Return what a restore would do; raises what the restore would fail with (3007, 4000 to 4005)."""
        with self._store.undisturbed():
            storage = self._store.storages.by_name(fields.storage_name)
            order = OrderBuilder(self._store, self._settings).plan(self._options(fields, storage))
        return self._queries.plan_restore(order)

    def _options(self, fields: RestoreFields, storage: StorageConfig) -> RestoreOptions:
        return RestoreOptions(
            storage_id=storage.storage_id,
            backup_name=fields.backup_name,
            restore_date=fields.restore_date,
            hostname=fields.hostname,
            # As given: an empty key never falls back to a stored one (docs/design.md, "Keys").
            encryption_key=fields.encryption_key,
            target_dir=fields.target_dir,
            include=fields.include,
            overwrite=fields.overwrite,
            numeric_owner=fields.numeric_owner,
        )


def _refuse_reserved(request_id: str) -> None:
    """Refuse a client's id that the agent would take for one of its own."""
    if request_id.startswith(PREFIX):
        raise InvalidParameterError(
            f"Invalid value of 'request_id': what begins with {PREFIX!r} is the agent's own.", "request_id"
        )
