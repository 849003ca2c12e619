# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One job while its worker runs: follows its messages until its outcome is known and it is gone."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from papi_backup.jobs.orders import Failure, JobOrder
from papi_backup.jobs.worker_process import WorkerProcess, WorkerProtocolError
from papi_backup.model.errors import InternalError
from papi_backup.model.job import Job, JobResult, Progress

Outcome = JobResult | Failure
EXIT_GRACE = 30.0
"""Seconds a worker that has told its outcome may take to exit."""

TERMINATION_GRACE = 15.0
"""Seconds between SIGTERM and SIGKILL: enough to delete from a distant storage what the job wrote there."""


class RunningJob:
    """A job and its worker.  Made, polled and ended by one thread that outlives the worker."""

    def __init__(
        self,
        job: Job,
        order: JobOrder,
        worker: WorkerProcess,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.job = job
        self.order = order
        self.worker = worker
        self.progress = Progress()
        self._monotonic = monotonic
        self._outcome: Outcome | None = None
        self._reason = ""
        self._kill_at = float("inf")
        self._closed = False

    def poll(self) -> Outcome | None:
        """Take in what has happened; the outcome once the worker is gone, else None.  Never waits."""
        if not self._closed:
            status = self.worker.exit_status()
            self._take_messages()
            if status is not None:
                self._close(status)
            elif self._monotonic() >= self._kill_at:
                self.worker.kill_group()
        return self._outcome if self._closed else None

    def end(self, reason: str) -> None:
        """Have the worker and its helpers stop; the job fails with ``reason`` unless it just ended."""
        self._reason = self._reason or reason
        self._kill_at = min(self._kill_at, self._monotonic() + TERMINATION_GRACE)
        self.worker.terminate()

    def _take_messages(self) -> None:
        try:
            messages = self.worker.messages()
        except WorkerProtocolError as error:
            self.end(f"the worker process sent an unreadable message ({error})")
            return
        for message in messages:
            if isinstance(message, Progress):
                self.progress = message
            elif self._outcome is None:
                self._outcome = message
                self._kill_at = min(self._kill_at, self._monotonic() + EXIT_GRACE)

    def _close(self, status: int) -> None:
        if self._outcome is None:
            self._outcome = Failure(InternalError.code, self._reason or describe_exit(status))
        self.worker.close()
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
