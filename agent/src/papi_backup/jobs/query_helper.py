# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quick questions to storages with deadlines, answered by small pools of warm processes.

The agent itself imports neither boto3 nor paramiko, and a storage that hangs costs it one process,
which is replaced.  Tests have processes of their own, so that lists, which may take long, do not keep them
waiting.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from papi_backup.jobs.codec import decode
from papi_backup.jobs.query_pool import NoFreeProcessError, QueryPool
from papi_backup.jobs.query_process import QUERY_COMMAND, NoAnswerInTimeError
from papi_backup.jobs.questions import (
    Answered,
    Asked,
    CheckBackup,
    CheckStorage,
    FindBackup,
    ListBackups,
    ListHostNames,
    PlanRestore,
    Question,
    dump_question,
)
from papi_backup.jobs.turns import NoTurnError, Turns
from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.check import StorageCheck
from papi_backup.model.errors import InvalidStorageError, TooManyRequestsError
from papi_backup.model.job import BackupOrder, FoundBackup, RestoreOrder, RestorePlanSummary
from papi_backup.model.storage import StorageAccess, StorageConfig

CHECK_SECONDS = 4.9
"""Clients of a test wait five seconds (docs/api_conventions.md, "Envelope")."""

CHECK_MARGIN = 0.5
"""How much earlier the process gives up by itself: then it can name the step that hangs."""

LIST_SECONDS = 30.0
PATIENCE_SECONDS = 5.0
"""A server that has not answered one list for so long is not asked another, which would wait as well."""

POOL_SIZE = 2
"""For tests, and for all else.  A server is asked one question at a time: a hung one holds one process."""


@dataclass(frozen=True, slots=True)
class _Lane:
    """Processes of their own for one sort of questions, and the turns of their servers."""

    pool: QueryPool
    turns: Turns
    seconds: float


class QueryHelper:
    """Asks storages.  Methods may be called from any thread; each raises :class:`PapiError`.

    A deadline that passes is 4001, no free process within it or a server that has not answered the question
    before is 3014, a process that dies 3015.
    """

    def __init__(
        self,
        command: Sequence[str] = QUERY_COMMAND,
        *,
        processes: int = POOL_SIZE,
        check_seconds: float = CHECK_SECONDS,
        list_seconds: float = LIST_SECONDS,
        patience: float = PATIENCE_SECONDS,
        seen: Callable[[StorageConfig, str], object] = lambda _storage, _host_key: None,
    ) -> None:
        """``processes`` start when they are first needed; ``*_seconds`` are the calls' deadlines.

        ``seen`` is told a storage and the host key that whoever asked was shown there, where none is known;
        what it raises, the call raises.
        """
        self._seen = seen
        # A test's deadline is its patience: whoever is refused is so at the time that was promised.
        self._checks = _Lane(QueryPool(command, processes), Turns(check_seconds), check_seconds)
        self._lists = _Lane(QueryPool(command, processes), Turns(patience), list_seconds)

    def list_backups(self, access: StorageAccess, host_name: str) -> list[CatalogEntry]:
        """Return the backups of a host on a storage."""
        return decode(list[CatalogEntry], self._list(ListBackups(access, host_name), access.storage))

    def list_host_names(self, access: StorageAccess) -> list[str]:
        """Return the hosts that have backups on a storage."""
        return decode(list[str], self._list(ListHostNames(access), access.storage))

    def check_storage(self, access: StorageAccess, since: float | None = None) -> StorageCheck:
        """Test a storage; the error of a failed test names the step.

        ``since``: when its deadline began to run by :func:`time.monotonic`, by default now.
        """
        deadline = self._checked_by(since)
        question = CheckStorage(access, deadline - CHECK_MARGIN)
        return decode(StorageCheck, _ask(self._checks, question, access.storage, deadline))

    def check_backup(self, order: BackupOrder, room: int, since: float | None = None) -> StorageCheck:
        """Test what a backup needs, ``room`` bytes on its storage included; errors name the step.

        ``since`` as above.
        """
        deadline = self._checked_by(since)
        question = CheckBackup(order, room, deadline - CHECK_MARGIN)
        return decode(StorageCheck, _ask(self._checks, question, order.access.storage, deadline))

    def find_backup(self, order: BackupOrder) -> FoundBackup:
        """Return what a storage knows of a job with this order, whose outcome was lost."""
        return decode(FoundBackup, self._list(FindBackup(order), order.access.storage))

    def plan_restore(self, order: RestoreOrder) -> RestorePlanSummary:
        """Return what a restore would do."""
        return decode(RestorePlanSummary, self._list(PlanRestore(order), order.access.storage))

    @property
    def busy(self) -> int:
        """How many processes are answering now."""
        return self._checks.pool.busy + self._lists.pool.busy

    def stop(self) -> None:
        """End all processes; calls under way fail with 3015."""
        self._checks.pool.stop()
        self._lists.pool.stop()

    def _checked_by(self, since: float | None) -> float:
        return (time.monotonic() if since is None else since) + self._checks.seconds

    def _list(self, question: Question, storage: StorageConfig) -> Any:
        answered = _answered(self._lists, question, storage, time.monotonic() + self._lists.seconds)
        # A contact that ends in an error, such as a wrong key, was one with a server that showed its own.
        if answered.host_key:
            self._seen(storage, answered.host_key)
        return answered.data()


def _ask(lane: _Lane, question: Question, storage: StorageConfig, deadline: float) -> Any:
    return _answered(lane, question, storage, deadline).data()


def _answered(lane: _Lane, question: Question, storage: StorageConfig, deadline: float) -> Answered:
    def line() -> bytes:
        return dump_question(Asked(question, max(0.0, deadline - time.monotonic())))

    unasked = f"storage {storage.storage_name!r} was not asked"
    try:
        with lane.turns.of(storage.server, deadline):
            return lane.pool.ask(line, deadline - time.monotonic(), deadline)
    except NoTurnError:
        raise TooManyRequestsError(
            f"{unasked}: its server has not answered the question before; ask again later"
        ) from None
    except NoFreeProcessError:
        raise TooManyRequestsError(f"{unasked}: other storages keep the agent busy") from None
    except NoAnswerInTimeError:
        raise InvalidStorageError(
            f"storage {storage.storage_name!r} did not answer within {lane.seconds:g} s"
        ) from None
