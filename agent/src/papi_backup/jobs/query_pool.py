# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bounded number of warm query processes, each started when it is first needed."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence

from papi_backup.jobs.query_process import NoAnswerInTimeError, ProcessEndedError, QueryProcess
from papi_backup.jobs.questions import Answered, load_answer
from papi_backup.model.errors import InternalError

log = logging.getLogger(__name__)


class NoFreeProcessError(Exception):
    """All processes were busy until the deadline."""


class QueryPool:
    """Asks processes.  Methods may be called from any thread."""

    def __init__(self, command: Sequence[str], processes: int) -> None:
        self._command = tuple(command)
        self._processes = processes
        # Last in, first out: where one process is enough, only one is kept warm.
        self._free: queue.LifoQueue[QueryProcess | None] = queue.LifoQueue()
        for vacancy in [None] * processes:
            self._free.put(vacancy)
        self._all: set[QueryProcess] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def ask(self, line: Callable[[], bytes], wait: float, deadline: float) -> Answered:
        """Ask the question that ``line`` writes once a process is free, within ``wait`` seconds.

        Raises :class:`NoFreeProcessError`; :class:`NoAnswerInTimeError` at ``deadline``, on the clock of
        :func:`time.monotonic`; :class:`InternalError` when the process dies or none can be started.
        """
        try:
            process = self._free.get(timeout=max(0.0, wait))
        except queue.Empty:
            raise NoFreeProcessError from None
        kept: QueryProcess | None = None
        try:
            asked, answer = self._exchange(process, line(), deadline)
            answered = load_answer(answer)
            if answered.spent:
                self._end(asked)
            else:
                kept = asked
        finally:
            self._free.put(kept)
        return answered

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
            self._end(process)
            raise

    def _end(self, process: QueryProcess) -> None:
        with self._lock:
            self._all.discard(process)
        process.close()

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
