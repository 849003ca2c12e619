# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes down how jobs ended, and what else the state learns of it, each in one step."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from papi_backup.jobs.attempts import next_attempt
from papi_backup.jobs.orders import Failure, JobOrder
from papi_backup.jobs.running import Outcome
from papi_backup.jobs.settling import Settled
from papi_backup.model.errors import InvalidParameterError, NoSuchEntityError, in_words
from papi_backup.model.job import BackupOrder, Job, JobResult, RestoreOrder, waiting
from papi_backup.model.schedule import BackupType
from papi_backup.state.jobs import JobRequest
from papi_backup.state.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ended:
    """A job and how it ended; a ``job`` that has an end already is put right.

    ``request``: what it was asked to do, where its run is to be tried again; else None.  ``settled`` is
    false where its backup may exist or come to exist, and its storage is to be asked again.
    """

    job: Job
    order: JobOrder | None
    outcome: Outcome
    request: JobRequest | None = None
    settled: bool = True


def ended_of(settled: Settled) -> Ended:
    """Return the end of a job that a storage was asked about."""
    lost = settled.lost
    request = JobRequest(backup_id=lost.job.backup_id) if lost.again else None
    return Ended(lost.job, lost.order, settled.outcome, request, settled.certain)


class OutcomeWriter:
    """Puts ends of jobs into the state.  Raises :class:`PapiError` where the state refuses them."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    def write(self, ended: Ended) -> None:
        """Write one end down."""
        with self._store.transaction():
            if isinstance(ended.outcome, Failure):
                self._fail(ended, ended.outcome)
            else:
                self._succeed(ended, ended.outcome)
            if ended.settled:
                self._store.unsettled_jobs.forget(ended.job.job_id)

    def _fail(self, ended: Ended, failure: Failure) -> None:
        job, text = ended.job, in_words(failure.code, failure.message)
        if job.end_date is None:
            self._store.jobs.fail(job.job_id, failure.code, text)
            if ended.request is not None:
                self._try_again(job, ended.request)
        elif ended.settled:
            self._store.jobs.correct_description(job.job_id, text)
        log.error("job %d failed with %d: %s", job.job_id, failure.code, failure.message)

    def _succeed(self, ended: Ended, result: JobResult) -> None:
        job = ended.job
        if isinstance(ended.order, BackupOrder):
            self._remember_chain(job, ended.order, result)
        elif ended.order is not None and result.high_water:
            self._raise_mark(ended.order, result.high_water)
        if job.end_date is None:
            self._store.jobs.finish(job.job_id, result)
        else:
            self._store.jobs.correct(job.job_id, result)
        log.info("job %d succeeded: %s", job.job_id, result.description)
        for warning in result.warnings:
            log.warning("job %d: %s", job.job_id, warning)

    def _remember_chain(self, job: Job, order: BackupOrder, result: JobResult) -> None:
        """Keep the chain's key and the high-water mark, unless a later backup has set that."""
        if result.chain and result.chain_key:
            self._store.chain_keys.put(result.chain, result.chain_key)
        if result.high_water and not self._has_later_success(job):
            self._store.high_water.put(order.access.storage.location, order.backup_name, result.high_water)

    def _raise_mark(self, order: RestoreOrder, mark: str) -> None:
        """Keep what a restore found: a backup of this agent whose outcome was lost."""
        self._store.high_water.put(order.access.storage.location, order.options.backup_name, mark)

    def _has_later_success(self, job: Job) -> bool:
        kinds: tuple[BackupType, ...] = ("full", "inc")
        last = (self._store.jobs.last_success(job.backup_name, kind) for kind in kinds)
        return any(other is not None and other.job_id > job.job_id for other in last)

    def _try_again(self, job: Job, request: JobRequest) -> None:
        """Queue the run of a job that was lost once more, as a new job, unless it was tried often enough."""
        request_id = next_attempt(job.job_id, job.request_id)
        if request_id is None:
            log.error("job %d was the last attempt of its run, which is not tried again", job.job_id)
            return
        name = job.backup_name
        if request.restore is None:
            try:
                name = self._store.configs.get(request.backup_id).backup_name
            except NoSuchEntityError:
                log.info("job %d does not run again: its configuration is gone", job.job_id)
                return
        if job.job_type == "backup" and self._waits(name, job):
            log.info("job %d does not run again: a backup of %r waits already", job.job_id, name)
            return
        again = waiting(job.job_type, name, job.backup_type, self._clock(), request_id)
        try:
            new = self._store.jobs.add(again, request)
        except InvalidParameterError as error:
            # A client took that id before ids of this kind were refused: the outcome counts all the same.
            log.error("job %d does not run again: %s", job.job_id, error.message)
            return
        log.warning("job %d will run again as job %d", job.job_id, new.job_id)

    def _waits(self, name: str, job: Job) -> bool:
        """Whether the queue holds what serves this run: the same, or a full in an incremental's place."""
        kinds: tuple[BackupType, ...] = ("full",) if job.backup_type == "full" else ("full", "inc")
        last = (self._store.jobs.last(name, kind) for kind in kinds)
        return any(other is not None and other.job_status == "waiting" for other in last)
