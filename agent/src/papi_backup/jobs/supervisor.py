# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts queued jobs in worker processes and writes down how they end (docs/architecture.md)."""

from __future__ import annotations

import logging
import os
import selectors
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

from papi_backup.config import Settings
from papi_backup.jobs.edge import outcome_of
from papi_backup.jobs.heartbeat import Heartbeat
from papi_backup.jobs.host_keys import pin_host_key
from papi_backup.jobs.launching import ForkingLauncher, WorkerLauncher
from papi_backup.jobs.lost_jobs import LostJobs
from papi_backup.jobs.order_builder import OrderBuilder
from papi_backup.jobs.orders import Failure, JobOrder
from papi_backup.jobs.outcomes import Ended, OutcomeWriter, ended_of
from papi_backup.jobs.redaction import Redactor
from papi_backup.jobs.restore_unit import RestoreUnitLauncher
from papi_backup.jobs.running import TERMINATION_GRACE, Outcome, RunningJob
from papi_backup.jobs.settling import LATE_SECONDS, NO_BACKUP, FindBackup, Lost, Settling
from papi_backup.jobs.worker_process import WORKER_COMMAND
from papi_backup.model.errors import NoSuchEntityError, in_words
from papi_backup.model.job import BackupOrder, Job, JobType, Progress, RestoreOptions, cancellation, waiting
from papi_backup.model.schedule import BackupConfig, BackupType
from papi_backup.state.jobs import JobRequest, JobTransitionError
from papi_backup.state.store import Store

log = logging.getLogger(__name__)

STOPPED = "the agent was stopped while this job ran"
NOT_ASKED = "the agent stops, and did not wait for the storage's answer"
IDLE_SECONDS = 5.0
BUSY_SECONDS = 0.2
"""How often a worker's exit is looked for: its helpers may hold its pipe open when it dies."""

CLOSING_SECONDS = 0.02
PRUNE_SECONDS = 3600.0
"""How often the history is pruned where no job ends."""

RETRY_SECONDS = 1.0
STUCK_SECONDS = 60.0


class JobSupervisor:
    """The queue's one consumer.  Public methods may be called from any thread."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        find_backup: FindBackup,
        *,
        worker_command: Sequence[str] = WORKER_COMMAND,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        termination_grace: float = TERMINATION_GRACE,
    ) -> None:
        """``settings`` say how many jobs run at a time, at what priority, and how much history stays.

        ``find_backup`` asks a storage whether the backup of a job whose outcome was lost is there.
        ``termination_grace``: seconds a worker has to end in order before it is killed.
        """
        self.heartbeat = Heartbeat("job supervisor", STUCK_SECONDS)
        self._store = store
        self._orders = OrderBuilder(store, settings)
        self._settings = settings
        self._launcher = _launcher(settings, worker_command)
        self._clock = clock
        self._grace = termination_grace
        self._cancelled: dict[int, str] = {}
        self._prune_at = 0.0
        self._running: dict[int, RunningJob] = {}
        self._ended: list[Ended] = []
        self._requests: dict[int, JobRequest] = {}
        self._outcomes = OutcomeWriter(store, clock)
        self._settling = Settling(find_backup, self._ring)
        self._lost = LostJobs(store, self._orders)
        self._asked_before: set[int] = set()
        self._draining = False
        self._terminating = False
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="job-supervisor", daemon=True)

    def enqueue_backup(self, config: BackupConfig, backup_type: BackupType, request_id: str = "") -> Job:
        """Queue a backup.  A ``request_id`` that was used before returns the job it made then."""
        request = JobRequest(backup_id=config.backup_id)
        with self._store.undisturbed():
            name = self._name_now(request, config.backup_name)
            return self._enqueue(name, backup_type, "backup", request_id, request)

    def enqueue_restore(self, options: RestoreOptions, request_id: str = "") -> Job:
        """Queue a restore.  A ``request_id`` that was used before returns the job it made then."""
        return self._enqueue(options.backup_name, "full", "restore", request_id, JobRequest(restore=options))

    def cancel(self, job_id: int, by: str) -> Job:
        """End a job, and return it as it is now: a running one is told to end, and fails when it has.

        One that has ended stays as it is.  Raises :class:`NoSuchEntityError`.
        """
        error = cancellation(by)
        with suppress(JobTransitionError):
            job = self._store.jobs.cancel(job_id, error.code, in_words(error.code, error.message))
            log.info("job %d was %s before it started", job_id, error.message)
            return job
        self._cancelled[job_id] = error.message
        self._ring()
        return self._store.jobs.get(job_id)

    def progress(self, job_id: int) -> Progress | None:
        """Return what a running job last reported; None for a job that does not run."""
        running = self._running.get(job_id)
        return running.progress if running else None

    def running_jobs(self) -> tuple[Job, ...]:
        """Return the jobs that have a worker now."""
        return tuple(running.job for running in tuple(self._running.values()))

    def start(self) -> None:
        """Settle the jobs an earlier agent did not live to end, and begin to work through the queue.

        Restores have failed when this returns; whether backups exist is asked of their storages meanwhile.
        """
        lost, over = self._lost.interrupted()
        for ended in over:
            self._outcomes.write(ended)
        for job in (*(each.job for each in lost), *(ended.job for ended in over)):
            log.warning("job %d (%s %s) was interrupted", job.job_id, job.job_type, job.backup_name)
        self._settling.begin([*lost, *self._lost.unknown()])
        self._thread.start()

    def drain(self) -> None:
        """Start no further job.  Jobs may still be queued: they wait for the next start of the agent."""
        self._draining = True
        self._ring()

    @property
    def drained(self) -> bool:
        """Whether, after :meth:`drain`, the last running job has ended."""
        return not self._thread.is_alive()

    def stop(self, timeout: float) -> None:
        """Drain for up to ``timeout`` seconds, then end the workers and fail their jobs with the reason."""
        self.drain()
        if self._thread.ident is None:
            return
        self._thread.join(timeout)
        self._terminating = True
        self._ring()
        self._thread.join(TERMINATION_GRACE + 10 * RETRY_SECONDS)
        if self._thread.is_alive():
            log.error("the outcome of a job could not be written down; it counts as interrupted")

    def _enqueue(
        self, name: str, backup_type: BackupType, job_type: JobType, request_id: str, request: JobRequest
    ) -> Job:
        queued = waiting(job_type, name, backup_type, self._clock(), request_id)
        job = self._store.jobs.add(queued, request)
        self._ring()
        return job

    def _ring(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_write(self._bell, 1)

    def _run(self) -> None:
        while not self._is_done:
            self.heartbeat.beat()
            try:
                self._turn()
            except Exception:  # the thread's outermost edge: logged, and tried again
                log.exception("the job queue cannot be worked on; trying again")
                time.sleep(RETRY_SECONDS)
            self._wait()

    @property
    def _is_done(self) -> bool:
        return self._draining and not self._running and not self._ended and self._settling.idle

    def _turn(self) -> None:
        if self._terminating:
            self._end_workers()
        self._end_cancelled()
        for running in tuple(self._running.values()):
            outcome = running.poll()
            if outcome is not None:
                self._take(running, outcome)
        self._take_settled()
        self._write_down()
        if time.monotonic() >= self._prune_at:
            self._prune()
        if not self._draining:
            self._start_waiting()

    def _take(self, running: RunningJob, outcome: Outcome) -> None:
        """Take over the outcome of a worker that has ended; where it may have lied, its storage is asked."""
        job, order = running.job, running.order
        request = self._requests[job.job_id]
        stopped = isinstance(outcome, Failure) and outcome.message == STOPPED
        if isinstance(outcome, Failure) and running.may_have_committed and isinstance(order, BackupOrder):
            place = order.access.storage.location
            self._settling.begin([Lost(job, outcome, order, place, again=stopped, pause=LATE_SECONDS)])
        else:
            if isinstance(outcome, Failure) and stopped and isinstance(order, BackupOrder):
                outcome = Failure(outcome.code, f"{STOPPED}; {NO_BACKUP}")
            self._ended.append(Ended(job, order, outcome, request if stopped else None))
        del self._running[job.job_id], self._requests[job.job_id]

    def _take_settled(self) -> None:
        settled = self._settling.take()
        if self._terminating:
            settled += self._settling.give_up(NOT_ASKED)
        self._ended.extend(map(ended_of, settled))

    def _wait(self) -> None:
        """Sleep until a message, a call or the next look at the workers' exits."""
        with selectors.PollSelector() as selector:
            selector.register(self._bell, selectors.EVENT_READ)
            timeout = BUSY_SECONDS if self._running else IDLE_SECONDS
            for running in self._running.values():
                if running.worker.at_end:
                    timeout = CLOSING_SECONDS
                else:
                    selector.register(running.worker, selectors.EVENT_READ)
            if self._is_done:
                return
            selector.select(timeout)
        with suppress(BlockingIOError):
            os.eventfd_read(self._bell)

    def _start_waiting(self) -> None:
        while len(self._running) < self._settings.max_parallel_jobs:
            chosen = self._choose()
            if chosen is None:
                return
            self._launch(*chosen)

    def _choose(self) -> tuple[Job, JobRequest, JobOrder | Failure] | None:
        """Start the oldest waiting job whose backup is not busy, and make its order.

        All of it at one moment: a configuration that was renamed between would run under a busy name.
        """
        busy = {running.job.backup_name for running in self._running.values()} | self._settling.names
        while True:
            with self._store.undisturbed():
                waiting = self._store.jobs.next_waiting(busy)
                if waiting is None:
                    return None
                job, request = waiting
                unknown = self._unknown_before(job)
                if not unknown:
                    self._asked_before.discard(job.job_id)
                    return self._begin(job, request)
            busy.add(job.backup_name)
            self._settling.begin(unknown)

    def _begin(self, job: Job, request: JobRequest) -> tuple[Job, JobRequest, JobOrder | Failure]:
        with self._store.transaction():
            started = self._store.jobs.start(job.job_id)
            order = outcome_of(lambda: self._orders.build(started, request), Redactor())
            if isinstance(order, BackupOrder):
                self._lost.expect(started, order)
        return started, request, order

    def _unknown_before(self, job: Job) -> list[Lost]:
        """Return the jobs of that name that must be asked about before this one runs, each time once."""
        if job.job_id in self._asked_before:
            return []
        self._asked_before.add(job.job_id)
        return self._lost.unknown(job.backup_name)

    def _launch(self, job: Job, request: JobRequest, order: JobOrder | Failure) -> None:
        log.info("job %d starts: %s", job.job_id, describe(job))
        launched = (
            order if isinstance(order, Failure) else outcome_of(lambda: self._spawn(job, order), Redactor())
        )
        if isinstance(launched, RunningJob):
            self._running[job.job_id] = launched
            self._requests[job.job_id] = request
        else:
            self._ended.append(Ended(job, None, launched))
            self._write_down()

    def _spawn(self, job: Job, order: JobOrder) -> RunningJob:
        expected = self._expected(job)
        worker = self._launcher.launch(order)
        pin = partial(pin_host_key, self._store, order.access.storage)
        return RunningJob(job, order, worker, expected=expected, grace=self._grace, pin=pin)

    def _expected(self, job: Job) -> Progress:
        """A backup knows no total before its end: it will be about as much as the last time."""
        last = self._store.jobs.last_success(job.backup_name, job.backup_type)
        if last is None or job.job_type != "backup":
            return Progress()
        # An incremental reads fewer files than it holds; how many is not kept.
        return Progress(
            files_total=last.files if last.backup_type == "full" else 0, bytes_total=last.bytes_read
        )

    def _end_cancelled(self) -> None:
        while self._cancelled:
            job_id, reason = self._cancelled.popitem()
            if job_id in self._running:
                self._running[job_id].end(reason)
                log.info("job %d was %s", job_id, reason)
            elif self._settling.cancel(job_id):
                log.info("job %d is not tried again: %s", job_id, reason)

    def _end_workers(self) -> None:
        for running in self._running.values():
            running.end(STOPPED)

    def _write_down(self) -> None:
        """Store the outcomes.  One that the state refuses stays in the list and is tried again."""
        while self._ended:
            try:
                self._outcomes.write(self._ended[0])
            except (JobTransitionError, NoSuchEntityError) as error:
                log.error("the outcome of job %d has no place: %s", self._ended[0].job.job_id, error.message)
            del self._ended[0]
            self._prune()

    def _prune(self) -> None:
        self._store.jobs.prune(self._settings.history_count, self._settings.history_days)
        self._prune_at = time.monotonic() + PRUNE_SECONDS

    def _name_now(self, request: JobRequest, name: str) -> str:
        """Return what a configuration is called now; ``name`` for a restore, or where it is gone."""
        if request.restore is None:
            with suppress(NoSuchEntityError):
                return self._store.configs.get(request.backup_id).backup_name
        return name


def _launcher(settings: Settings, worker_command: Sequence[str]) -> WorkerLauncher:
    forking = ForkingLauncher(settings.nice, settings.ionice, worker_command)
    if settings.restore_socket is None:
        return forking
    return RestoreUnitLauncher(settings.restore_socket, settings.nice, settings.ionice, forking)


def describe(job: Job) -> str:
    """Return words for a job: what it does to which backup."""
    kind = {"full": "full backup", "inc": "incremental backup"}[job.backup_type]
    return f"{kind if job.job_type == 'backup' else 'restore'} of {job.backup_name!r}"
