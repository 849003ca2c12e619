# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One job while its worker runs: follows its messages until its outcome is known and it is gone."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import replace

from papi_backup.jobs.launching import Worker
from papi_backup.jobs.orders import Failure, HostKeySeen, JobOrder
from papi_backup.jobs.pace import Pace
from papi_backup.jobs.worker_process import WorkerProtocolError
from papi_backup.memory_limit import MemoryWatch
from papi_backup.model.errors import InternalError, InvalidStorageError
from papi_backup.model.job import Job, JobResult, Progress

Outcome = JobResult | Failure
EXIT_GRACE = 30.0
"""Seconds a worker that has told its outcome may take to exit."""

TERMINATION_GRACE = 15.0
"""Seconds between SIGTERM and SIGKILL: enough to delete from a distant storage what the job wrote there."""

UNKILLABLE_SECONDS = 5.0
"""Seconds after SIGKILL until a process counts as hung in the kernel.  It never runs its own code again."""


class RunningJob:
    """A job and its worker.  Made, polled and ended by one thread that outlives the worker."""

    def __init__(
        self,
        job: Job,
        order: JobOrder,
        worker: Worker,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        expected: Progress = Progress(),  # noqa: B008 -- frozen
        grace: float = TERMINATION_GRACE,
        pin: Callable[[str], str] = lambda _host_key: "",
    ) -> None:
        """``expected``: totals to tell while the worker knows none; ``grace``: see ``TERMINATION_GRACE``.

        ``pin`` remembers a host key and returns words for the job; an :class:`InvalidStorageError` ends it.
        """
        self.job = job
        self.order = order
        self.worker = worker
        self._pace = Pace(expected, monotonic)
        self._grace = grace
        self._monotonic = monotonic
        self._outcome: Outcome | None = None
        self._reason = ""
        self._pin = pin
        self._pinned = ""
        self._refused: Failure | None = None
        self._kill_at = float("inf")
        self._closed = False
        self._memory = MemoryWatch()
        self.may_have_committed = False
        """Whether the worker was about to write its manifest, and did not tell that it is done."""

    @property
    def progress(self) -> Progress:
        """What the worker last reported, with its rate and the time that remains."""
        return self._pace.progress()

    def poll(self) -> Outcome | None:
        """Take in what has happened; the outcome once the worker is gone, else None.  Never waits."""
        if not self._closed:
            status = self.worker.exit_status()
            self._take_messages()
            if status is not None:
                self._close(status)
            elif self._monotonic() >= self._kill_at:
                self.worker.kill_group()
                if self._monotonic() >= self._kill_at + UNKILLABLE_SECONDS:
                    self._abandon()
        return self._outcome if self._closed else None

    def end(self, reason: str) -> None:
        """Have the worker and its helpers stop; the job fails with ``reason`` unless its work is done.

        A worker past its point of no return tells its success, which then is the outcome.
        """
        if self._outcome is None:
            self._reason = self._reason or reason
        self._kill_at = min(self._kill_at, self._monotonic() + self._grace)
        self.worker.terminate()

    def _take_messages(self) -> None:
        try:
            messages = self.worker.messages()
        except WorkerProtocolError as error:
            self.end(f"the worker process sent an unreadable message ({error})")
            return
        for message in messages:
            if isinstance(message, Progress) and message.committing:
                self.may_have_committed = True
            elif isinstance(message, Progress):
                self._pace.note(message)
            elif isinstance(message, HostKeySeen):
                self._compare(message.host_key)
            elif self._outcome is None:
                self._outcome = message
                self.may_have_committed &= isinstance(message, Failure)
                self._kill_at = min(self._kill_at, self._monotonic() + EXIT_GRACE)

    def _compare(self, host_key: str) -> None:
        try:
            self._pinned = self._pin(host_key)
        except InvalidStorageError as error:
            self._refused = Failure(error.code, error.message)
            self.end(error.message)

    def _close(self, status: int) -> None:
        # A worker that is told to end may stumble over what it gives up: that is not why it failed.
        if self._outcome is None or (self._reason and isinstance(self._outcome, Failure)):
            self._outcome = Failure(InternalError.code, self._reason or self._told(status))
        if self._refused is not None:
            self._refuse(self._refused)
        elif self._pinned and isinstance(self._outcome, JobResult):
            told = "; ".join(filter(None, (self._outcome.description, self._pinned)))
            self._outcome = replace(self._outcome, description=told)
        self.worker.close()
        self._closed = True

    def _refuse(self, refused: Failure) -> None:
        """Fail the job whatever its worker told: whoever showed another key is asked about nothing more."""
        self._outcome = refused
        self.may_have_committed = False

    def _told(self, status: int) -> str:
        why = self._memory.why(status)
        return f"the worker process {why}" if why else describe_exit(status)

    def _abandon(self) -> None:
        """End the job without its worker, which SIGKILL cannot reach: a file system of this host hangs."""
        if not isinstance(self._outcome, JobResult):
            told = self._reason or "the worker process did not end"
            self._outcome = Failure(InternalError.code, f"{told}; its process hangs in the kernel")
        if self._refused is not None:
            self._refuse(self._refused)
        self.worker.abandon()
        self._closed = True


def describe_exit(status: int) -> str:
    """Return words for a worker that ended without an outcome; negative ``status`` is a signal."""
    if status == 128 + signal.SIGTERM:
        status = -signal.SIGTERM  # the worker took back what it wrote before it ended
    if status >= 0:
        return f"the worker process ended with exit status {status} before the job was done; see the log"
    name = signal.Signals(-status).name if -status in set(signal.Signals) else f"signal {-status}"
    hint = " (the system may have run out of memory)" if -status == signal.SIGKILL else ""
    return f"the worker process was ended by {name}{hint} before the job was done"
