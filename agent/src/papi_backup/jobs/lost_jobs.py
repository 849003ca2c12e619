# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the state knows of jobs whose outcome was lost, and of those whose outcome might be."""

from __future__ import annotations

from collections.abc import Iterator

from papi_backup.jobs.order_builder import OrderBuilder
from papi_backup.jobs.orders import Failure
from papi_backup.jobs.outcomes import Ended
from papi_backup.jobs.settling import MAY_EXIST, NO_BACKUP, Lost
from papi_backup.model.errors import InternalError, NoSuchEntityError, PapiError, in_words
from papi_backup.model.job import BackupOrder, Job
from papi_backup.state.jobs import JobRequest
from papi_backup.state.store import Store
from papi_backup.state.unsettled import Unsettled

INTERRUPTED = "The agent stopped while this job ran"
UNKNOWN = f"{INTERRUPTED}. Its backup may exist: the list of backups tells"
RESTORE = f"{INTERRUPTED}; the restore can be run again"


class LostJobs:
    """Finds them, with what is needed to ask their storages."""

    def __init__(self, store: Store, orders: OrderBuilder) -> None:
        self._store = store
        self._orders = orders

    def expect(self, job: Job, order: BackupOrder) -> None:
        """Remember what a job is about to write, before it starts."""
        storage = order.access.storage
        self._store.unsettled_jobs.put(
            Unsettled(job.job_id, order.backup, storage.storage_id, storage.location)
        )

    def interrupted(self) -> tuple[list[Lost], list[Ended]]:
        """Return the jobs an earlier agent did not live to end: those to ask about, and those now over."""
        known = {unsettled.job_id: unsettled for unsettled in self._store.unsettled_jobs.all()}
        lost, over = [], []
        for job in self._store.jobs.running():
            if job.job_id in known:
                failure = Failure(InternalError.code, INTERRUPTED)
                lost.append(self._lost(job, known[job.job_id], failure, again=True))
            else:
                over.append(_over(job))
        return lost, over

    def unknown(self, backup_name: str | None = None) -> list[Lost]:
        """Return the failed jobs, of one name or of all, of which nobody could tell whether they did."""
        return [
            self._lost(job, unsettled, _first_told(job))
            for job, unsettled in self._unsettled()
            if job.job_status == "failed" and backup_name in (None, job.backup_name)
        ]

    def _unsettled(self) -> Iterator[tuple[Job, Unsettled]]:
        for unsettled in self._store.unsettled_jobs.all():
            try:
                yield self._store.jobs.get(unsettled.job_id), unsettled
            except NoSuchEntityError:
                self._store.unsettled_jobs.forget(unsettled.job_id)

    def _lost(self, job: Job, unsettled: Unsettled, failure: Failure, *, again: bool = False) -> Lost:
        order, unasked = None, ""
        try:
            order = self._orders.search(job, unsettled)
        except PapiError as error:
            unasked = f"nobody can be asked, because {error.message}"
        return Lost(job, failure, order, unsettled.location, unasked, again)


def _over(job: Job) -> Ended:
    """A restore is not run again unasked: meanwhile its target may have been put right in another way."""
    if job.job_type == "restore":
        return Ended(job, None, Failure(InternalError.code, RESTORE))
    request = JobRequest(backup_id=job.backup_id)
    return Ended(job, None, Failure(InternalError.code, UNKNOWN), request)


def _first_told(job: Job) -> Failure:
    """Return why a job failed, without what was added when its storage was asked before."""
    text = job.description.removeprefix(in_words(job.error_code, "")).partition(MAY_EXIST)[0]
    return Failure(job.error_code, text.removesuffix(f"; {NO_BACKUP}"))
