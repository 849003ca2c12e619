# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quick questions to storages with deadlines, answered by a small pool of warm processes (design section 3).

The agent itself imports neither boto3 nor paramiko, and a storage that hangs costs it one process,
which is replaced.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Sequence
from typing import Any

from papi_backup.jobs.codec import decode
from papi_backup.jobs.query_process import (
    QUERY_COMMAND,
    NoAnswerInTimeError,
    ProcessEndedError,
    QueryProcess,
)
from papi_backup.jobs.questions import (
    Asked,
    CheckBackup,
    CheckStorage,
    ListBackups,
    ListHostNames,
    PlanRestore,
    Question,
    dump_question,
    load_answer,
)
from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.check import StorageCheck
from papi_backup.model.errors import InternalError, InvalidStorageError, TooManyRequestsError
from papi_backup.model.job import BackupOrder, RestoreOrder, RestorePlanSummary
from papi_backup.model.storage import StorageAccess, StorageConfig

log = logging.getLogger(__name__)

CHECK_SECONDS = 4.9
"""Clients of a test wait five seconds (wire.md "Envelope")."""

CHECK_MARGIN = 0.5
"""How much earlier the process gives up by itself: then it can name the step that hangs."""

LIST_SECONDS = 30.0
POOL_SIZE = 2
"""Two, so that one hanging storage does not keep others waiting."""


class QueryHelper:
    """Asks storages.  Methods may be called from any thread; each raises :class:`PapiError`.

    A deadline that passes is 4001, no free process within it is 3014, a process that dies 3015.
    """

    def __init__(
        self,
        command: Sequence[str] = QUERY_COMMAND,
        *,
        processes: int = POOL_SIZE,
        check_seconds: float = CHECK_SECONDS,
        list_seconds: float = LIST_SECONDS,
    ) -> None:
        """Processes start when they are first needed; ``*_seconds`` are the calls' deadlines."""
        self._command = tuple(command)
        self._check_seconds = check_seconds
        self._list_seconds = list_seconds
        # Last in, first out: where one process is enough, only one is kept warm.
        self._processes = processes
        self._free: queue.LifoQueue[QueryProcess | None] = queue.LifoQueue()
        for vacancy in [None] * processes:
            self._free.put(vacancy)
        self._all: set[QueryProcess] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def list_backups(self, access: StorageAccess, host_name: str) -> list[CatalogEntry]:
        """Return the backups of a host on a storage."""
        data = self._ask(ListBackups(access, host_name), access.storage, self._list_seconds)
        return decode(list[CatalogEntry], data)

    def list_host_names(self, access: StorageAccess) -> list[str]:
        """Return the hosts that have backups on a storage."""
        return decode(list[str], self._ask(ListHostNames(access), access.storage, self._list_seconds))

    def check_storage(self, access: StorageAccess) -> StorageCheck:
        """Test a storage; the error of a failed test names the step."""
        question = CheckStorage(access, self._give_up_at())
        return decode(StorageCheck, self._ask(question, access.storage, self._check_seconds))

    def check_backup(self, order: BackupOrder, room: int) -> StorageCheck:
        """Test what a backup needs, ``room`` bytes on its storage included; errors name the step."""
        question = CheckBackup(order, room, self._give_up_at())
        return decode(StorageCheck, self._ask(question, order.access.storage, self._check_seconds))

    def plan_restore(self, order: RestoreOrder) -> RestorePlanSummary:
        """Return what a restore would do."""
        data = self._ask(PlanRestore(order), order.access.storage, self._list_seconds)
        return decode(RestorePlanSummary, data)

    @property
    def busy(self) -> int:
        """How many processes are answering now."""
        return self._processes - self._free.qsize()

    def stop(self) -> None:
        """End all processes; calls under way fail with 3015."""
        with self._lock:
            self._stopped = True
            for process in self._all:
                process.kill()

    def _give_up_at(self) -> float:
        return time.monotonic() + self._check_seconds - CHECK_MARGIN

    def _ask(self, question: Question, storage: StorageConfig, seconds: float) -> Any:
        deadline = time.monotonic() + seconds
        try:
            process = self._free.get(timeout=seconds)
        except queue.Empty:
            raise TooManyRequestsError(
                f"storage {storage.storage_name!r} was not asked: other storages keep the agent busy"
            ) from None
        line = dump_question(Asked(question, max(0.0, deadline - time.monotonic())))
        kept: QueryProcess | None = None
        try:
            kept, answer = self._exchange(process, line, deadline)
        except NoAnswerInTimeError:
            raise InvalidStorageError(
                f"storage {storage.storage_name!r} did not answer within {seconds:g} s"
            ) from None
        finally:
            self._free.put(kept)
        return load_answer(answer)

    def _exchange(
        self, process: QueryProcess | None, line: bytes, deadline: float
    ) -> tuple[QueryProcess, bytes]:
        """Ask a process, or a new one where there is none or it has left after idling."""
        if process is not None:
            try:
                return process, self._ask_or_close(process, line, deadline)
            except ProcessEndedError:
                log.debug("the query process had left; starting another")
        process = self._start()
        try:
            return process, self._ask_or_close(process, line, deadline)
        except ProcessEndedError as error:
            raise InternalError(f"the process that asks storages {error}; see the log") from None

    def _ask_or_close(self, process: QueryProcess, line: bytes, deadline: float) -> bytes:
        try:
            return process.ask(line, deadline)
        except (NoAnswerInTimeError, ProcessEndedError):
            with self._lock:
                self._all.discard(process)
            process.close()
            raise

    def _start(self) -> QueryProcess:
        with self._lock:
            if self._stopped:
                raise InternalError("the agent is stopping")
            try:
                process = QueryProcess(self._command)
            except OSError as error:
                raise InternalError(f"cannot start a process to ask storages: {error.strerror}") from error
            self._all.add(process)
        return process
