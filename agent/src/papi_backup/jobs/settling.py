# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks storages about backup jobs whose outcome was lost: the manifest decides whether the backup exists."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from papi_backup.jobs.edge import outcome_of
from papi_backup.jobs.orders import Failure
from papi_backup.jobs.redaction import Redactor
from papi_backup.model.errors import InvalidStorageError, TooManyRequestsError, in_words
from papi_backup.model.job import BackupOrder, FoundBackup, Job, JobResult

FindBackup = Callable[[BackupOrder], FoundBackup]
"""Asks the storage of an order; raises :class:`PapiError` where it cannot be asked."""

NO_BACKUP = "what it left on the storage is no backup"
MAY_EXIST = ". The backup may exist: "
LATE_SECONDS = 1.0
"""How long a storage may take to finish the last request of a worker that has just died."""

TURN_SECONDS = 30.0
"""How long a server that answers somebody else is waited for."""

TURN_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Lost:
    """A job without an outcome.  ``failure`` is what is told of it unless its backup exists.

    ``order`` is None where what is needed to ask is gone; ``unasked`` then says what.  ``again``: whether its
    run is to be tried again.  ``pause``: seconds to wait before the storage is asked, where the worker's last
    request may still be under way.
    """

    job: Job
    failure: Failure
    order: BackupOrder | None
    location: str
    unasked: str = ""
    again: bool = False
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Settled:
    """What was found out; ``certain`` is false where it is to be asked again.

    That is so where the storage could not be asked, or where a manifest may come after the answer.
    """

    lost: Lost
    outcome: JobResult | Failure
    certain: bool


class Settling:
    """Storages that are being asked.  Used by the supervisor's thread, which never waits for an answer."""

    def __init__(self, find: FindBackup, ring: Callable[[], None]) -> None:
        """``ring`` is called from other threads whenever there is something to take."""
        self._find = find
        self._ring = ring
        self._open: dict[int, Lost] = {}
        self._answers: queue.SimpleQueue[Settled] = queue.SimpleQueue()

    @property
    def names(self) -> set[str]:
        """The backup names of the jobs that are being asked about."""
        return {lost.job.backup_name for lost in self._open.values()}

    @property
    def idle(self) -> bool:
        """Whether nothing is being asked."""
        return not self._open

    def begin(self, jobs: Iterable[Lost]) -> None:
        """Ask about jobs: about those of one location one after the other, about others at the same time."""
        places: dict[str, list[Lost]] = {}
        for lost in jobs:
            if lost.job.job_id not in self._open:
                self._open[lost.job.job_id] = lost
                places.setdefault(lost.location, []).append(lost)
        for asked in places.values():
            threading.Thread(target=self._ask_all, args=(asked,), name="settling", daemon=True).start()

    def take(self) -> list[Settled]:
        """Return what has been answered since the last call."""
        taken = []
        while not self._answers.empty():
            settled = self._answers.get()
            # A job that was given up meanwhile is settled already.
            lost = self._open.pop(settled.lost.job.job_id, None)
            if lost is not None:
                taken.append(replace(settled, lost=lost))
        return taken

    def cancel(self, job_id: int) -> bool:
        """Have the run of a job that is asked about not be tried again; false if none is."""
        lost = self._open.get(job_id)
        if lost is None:
            return False
        self._open[job_id] = replace(lost, again=False)
        return True

    def give_up(self, reason: str) -> list[Settled]:
        """Wait for no answer any more: what is open is uncertain, because of ``reason``."""
        given_up = [uncertain(lost, reason) for lost in self._open.values()]
        self._open.clear()
        return given_up

    def _ask_all(self, jobs: list[Lost]) -> None:
        silent: Failure | None = None
        for lost in jobs:
            answer = silent if silent and lost.order else self._ask(lost)
            self._answers.put(_settled(lost, answer))
            self._ring()
            # Whoever does not answer one question is not asked the others, each of which would wait as long.
            if isinstance(answer, Failure) and answer.code == InvalidStorageError.code:
                silent = answer

    def _ask(self, lost: Lost) -> FoundBackup | Failure | str:
        if lost.order is None:
            return lost.unasked
        order = lost.order
        time.sleep(lost.pause)
        give_up_at = time.monotonic() + TURN_SECONDS
        while True:
            answer = outcome_of(lambda: self._find(order), Redactor())
            refused = isinstance(answer, Failure) and answer.code == TooManyRequestsError.code
            if not refused or time.monotonic() >= give_up_at:
                return answer
            time.sleep(TURN_PAUSE)


def uncertain(lost: Lost, reason: str) -> Settled:
    """Return what is told where nobody knows: the backup may exist."""
    told = (
        f"{lost.failure.message.rstrip('.')}{MAY_EXIST}{reason}. It is looked for again before"
        f" the next job of {lost.job.backup_name!r} and when the agent starts"
    )
    return Settled(lost, Failure(lost.failure.code, told), certain=False)


def _settled(lost: Lost, answer: FoundBackup | Failure | str) -> Settled:
    if isinstance(answer, str):
        return uncertain(lost, answer)
    if isinstance(answer, Failure):
        reason = f"the storage cannot tell ({in_words(answer.code, answer.message.rstrip('.'))})"
        return uncertain(lost, reason)
    if answer.result is not None:
        return Settled(lost, answer.result, certain=True)
    told = f"{lost.failure.message.rstrip('.')}; {NO_BACKUP}"
    # A storage may finish the last request of a dead worker at any time: one more look decides.
    return Settled(lost, Failure(lost.failure.code, told), certain=not lost.pause)
