# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that answers questions about storages: ``python -m papi_backup.jobs.query_worker …``.

Questions come on standard input, answers go to the pipe ``--messages``.  It stays, so that its
imports are paid once; it leaves after ``--idle`` seconds without a question, when the agent is gone
(end of its input), by SIGALRM when an answer takes longer than the agent waits for it, and after an answer
that left a thread behind: a check that gave up on its storage has one that nobody can end.
"""

from __future__ import annotations

import argparse
import functools
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from papi_backup.confinement import keep_to_itself
from papi_backup.jobs.codec import secrets_in
from papi_backup.jobs.edge import log_to_stderr, outcome_of
from papi_backup.jobs.questions import (
    Asked,
    CheckBackup,
    CheckStorage,
    FindBackup,
    ListBackups,
    ListHostNames,
    PlanRestore,
    dump_answer,
    load_question,
)
from papi_backup.jobs.redaction import Redactor
from papi_backup.jobs.worker import write_all
from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.job import FoundBackup, RestorePlanSummary
from papi_backup.model.storage import SshStorage, StorageAccess

if TYPE_CHECKING:
    from papi_backup.engine.storage.protocol import Storage

IDLE_SECONDS = 600.0
LEAST_SECONDS = 0.5
"""What a check has in any case, so that its answer names a step."""

ALARM_MARGIN = 1.0
"""The agent kills first; the alarm is for a process whose agent died while it hung."""

THREAD_SECONDS = 0.2
"""How long the threads of an answer may take to end after it, well within the margin that a check leaves."""

_READ_SIZE = 1 << 16


class Answers(Protocol):
    """Who answers; tests put their own in its place."""

    host_key: str
    """What an SSH server showed, whose key nobody knew, while a question was answered."""

    def list_backups(self, question: ListBackups) -> list[CatalogEntry]:
        """Raises :class:`PapiError`."""

    def list_host_names(self, question: ListHostNames) -> list[str]:
        """Raises :class:`PapiError`."""

    def check_storage(self, question: CheckStorage) -> object:
        """Return a dataclass with the fields of :class:`StorageCheck`.  Raises :class:`PapiError`."""

    def check_backup(self, question: CheckBackup) -> object:
        """Return a dataclass with the fields of :class:`StorageCheck`.  Raises :class:`PapiError`."""

    def find_backup(self, question: FindBackup) -> FoundBackup:
        """Raises :class:`PapiError`."""

    def plan_restore(self, question: PlanRestore) -> RestorePlanSummary:
        """Raises :class:`PapiError`."""


class RealAnswers:
    """Answers from the engine of this package, each part imported when it is first asked for."""

    host_key = ""

    def list_backups(self, question: ListBackups) -> list[CatalogEntry]:
        """List by LIST requests alone."""
        from papi_backup.engine.catalog import list_backups  # noqa: PLC0415 - late: a check does not need it

        storage = self._opened(question.access)
        try:
            return list_backups(storage, question.host_name)
        finally:
            storage.close()

    def list_host_names(self, question: ListHostNames) -> list[str]:
        """List by LIST requests alone."""
        from papi_backup.engine.catalog import list_host_names  # noqa: PLC0415 - late: a check does not need it

        storage = self._opened(question.access)
        try:
            return list_host_names(storage)
        finally:
            storage.close()

    def _opened(self, access: StorageAccess) -> Storage:
        """Connect, and note the host key that was shown."""
        from papi_backup.engine.storage.opener import patient  # noqa: PLC0415 - late, as above

        storage = patient(access)
        storage.open()
        if isinstance(access.storage, SshStorage) and not access.storage.host_key:
            self.host_key = storage.host_key
        return storage

    def check_storage(self, question: CheckStorage) -> object:
        """Try everything that backups will do."""
        from papi_backup.engine.storage.check import check_storage  # noqa: PLC0415 - late: a list does not need it

        return check_storage(question.access, seconds_until(question.until))

    def check_backup(self, question: CheckBackup) -> object:
        """Try everything that this backup will need."""
        from papi_backup.engine.backup.check import check_backup  # noqa: PLC0415 - late: a list does not need it

        return check_backup(question.order, question.room, seconds_until(question.until))

    def find_backup(self, question: FindBackup) -> FoundBackup:
        """List the backups of that name, and open the one that has the id."""
        from papi_backup.engine.backup.result import find_backup  # noqa: PLC0415 - late: a list does not need it

        storage = self._opened(question.order.access)
        try:
            return find_backup(storage, question.order)
        finally:
            storage.close()

    def plan_restore(self, question: PlanRestore) -> RestorePlanSummary:
        """Read the manifest and compare; nothing is written."""
        from papi_backup.engine.restore import plan_restore  # noqa: PLC0415 - late: a list does not need it

        return plan_restore(question.order, lambda: self._opened(question.order.access))


def answer(answers: Answers, asked: Asked) -> object:
    """Return the answer.  Raises :class:`PapiError`."""
    question = asked.question
    if isinstance(question, ListBackups):
        return answers.list_backups(question)
    if isinstance(question, ListHostNames):
        return answers.list_host_names(question)
    if isinstance(question, CheckStorage):
        return answers.check_storage(question)
    if isinstance(question, CheckBackup):
        return answers.check_backup(question)
    if isinstance(question, FindBackup):
        return answers.find_backup(question)
    return answers.plan_restore(question)


def seconds_until(instant: float) -> float:
    """Return what is left for an answer, imports and the start of this process being paid."""
    return max(LEAST_SECONDS, instant - time.monotonic())


def next_line(idle: float, read: Callable[[int, int], bytes] = os.read) -> bytes:
    """Return the next question's line; b"" when the agent is gone or nothing came for ``idle`` seconds."""
    line = b""
    while not line.endswith(b"\n"):
        if not select.select([0], [], [], idle)[0]:
            return b""
        data = read(0, _READ_SIZE)
        if not data:
            return b""
        line += data
    return line


def main(arguments: Sequence[str] | None = None, answers: Answers | None = None) -> int:
    """Answer questions until there are no more."""
    keep_to_itself()
    parser = argparse.ArgumentParser(prog="papi_backup.jobs.query_worker")
    parser.add_argument("--messages", type=int, required=True)
    parser.add_argument("--idle", type=float, default=IDLE_SECONDS)
    options = parser.parse_args(arguments)
    answers = answers or RealAnswers()
    while line := next_line(options.idle):
        asked = load_question(line)
        redactor = Redactor(secrets_in(asked))
        log_to_stderr(redactor)
        answers.host_key = ""
        signal.setitimer(signal.ITIMER_REAL, asked.seconds + ALARM_MARGIN)
        outcome = outcome_of(functools.partial(answer, answers, asked), redactor)
        signal.setitimer(signal.ITIMER_REAL, 0)
        spent = threads_stay()
        write_all(options.messages, dump_answer(outcome, spent=spent, host_key=answers.host_key))
        if spent:
            # Not by an orderly exit, which a thread that hangs in a library could keep from ending.
            os._exit(0)
    return 0


def threads_stay(seconds: float = THREAD_SECONDS) -> bool:
    """Return whether other threads than this one live on for ``seconds``."""
    deadline = time.monotonic() + seconds
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                return True
    return False


if __name__ == "__main__":
    sys.exit(main())
