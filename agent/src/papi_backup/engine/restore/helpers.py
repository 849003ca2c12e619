# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Helper processes: forked before any thread or connection exists, fed with shares over pipes.

Each opens its own connection and does everything for its share; file bytes never cross a process.
What crosses are shares, counts, and questions who writes a hard-linked file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from multiprocessing.reduction import recv_handle, send_handle
from typing import Any, NoReturn

from papi_backup.engine.child_process import die_with_parent, tell_failure
from papi_backup.engine.restore.crew import Claims
from papi_backup.engine.restore.queue import ShareQueue
from papi_backup.engine.restore.share import Share, ShareResult, WorkPlan
from papi_backup.engine.restore.worker import Told, Worker
from papi_backup.engine.storage.protocol import StorageOpener
from papi_backup.engine.termination import unwind
from papi_backup.memory_limit import MemoryWatch
from papi_backup.model.errors import InternalError, PapiError, from_code
from papi_backup.model.job import REPORT_SECONDS

log = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds a helper has to remove its temporary file when it is told to end."""
_GONE = (EOFError, BrokenPipeError, ConnectionResetError)


class _Helper:
    """The job's side of one helper."""

    def __init__(self, process: ForkProcess, pipe: Connection) -> None:
        self.process = process
        self.pipe = pipe
        self.busy = False
        self._memory = MemoryWatch()

    def send(self, *message: Any) -> None:
        """Send a message; raises what :meth:`receive` raises when the helper has ended."""
        try:
            self.pipe.send(message)
        except _GONE:
            self.receive()
            raise self._died() from None

    def send_plan(self, plan: WorkPlan) -> None:
        """Send the plan with the descriptor of the target's directory; raises as :meth:`send` does."""
        self.send("plan", plan)
        try:
            send_handle(self.pipe, plan.root, self.process.pid or 0)
        except _GONE:
            self.receive()
            raise self._died() from None

    def receive(self) -> tuple[Any, ...]:
        """Return its next message.  Raises the PapiError it ended with, InternalError if it died."""
        try:
            message: tuple[Any, ...] = self.pipe.recv()
        except _GONE:
            raise self._died() from None
        if message[0] == "failed":
            _kind, code, text, trace = message
            if trace:
                log.error("a process of the restore failed:\n%s", trace)
            raise from_code(code, text)
        return message

    def _died(self) -> InternalError:
        self.process.join(PATIENCE)
        status = self.process.exitcode or 0
        how = self._memory.why(status)
        if not how:
            how = f"was ended by signal {-status}" if status < 0 else f"ended with exit status {status}"
        return InternalError(f"A process of the restore {how}; run the restore again.")


class Helpers:
    """Several processes that restore shares (implements ``crew.Crew``)."""

    def __init__(self, number: int, opener: StorageOpener) -> None:
        context = multiprocessing.get_context("fork")
        self._helpers: list[_Helper] = []
        for _number in range(number):
            ours, theirs = context.Pipe()
            inherited = [ours, *(helper.pipe for helper in self._helpers)]
            process = context.Process(target=_run, args=(os.getpid(), opener, theirs, inherited), daemon=True)
            process.start()
            theirs.close()
            self._helpers.append(_Helper(process, ours))

    def connect(self) -> None:
        """Have the helpers connect, while it is still found out what they are to do."""
        for helper in self._helpers:
            helper.send("connect")

    def run(
        self, plan: WorkPlan, shares: Iterable[Share], claims: Claims, told: Told
    ) -> Iterator[ShareResult]:
        """See ``crew.Crew``: each helper gets another share when it is done with one, large files first."""
        waiting = ShareQueue(list(shares), len(self._helpers))
        for helper in self._helpers:
            helper.send_plan(plan)
        while True:
            for number, helper in enumerate(self._helpers):
                share = None if helper.busy else waiting.take(number)
                if share is not None:
                    helper.busy = True
                    helper.send("share", share)
            busy = [helper for helper in self._helpers if helper.busy]
            if not busy:
                return
            ready = wait([helper.pipe for helper in busy])
            for helper in busy:
                if helper.pipe not in ready:
                    continue
                message = helper.receive()
                if message[0] == "claim":
                    helper.send("claimed", claims.claim(message[1], message[2]))
                elif message[0] == "progress":
                    told(*message[1:])
                else:
                    result: ShareResult = message[1]
                    helper.busy = False
                    waiting.put_first(result.large)
                    yield result

    def close(self) -> None:
        """End the helpers, whatever they do; they remove what they had unfinished."""
        for helper in self._helpers:
            helper.pipe.close()
            if helper.busy:
                helper.process.terminate()
        deadline = time.monotonic() + PATIENCE
        for helper in self._helpers:
            helper.process.join(max(0.0, deadline - time.monotonic()))
            if helper.process.is_alive():
                helper.process.kill()
                helper.process.join()
        self._helpers = []


@contextlib.contextmanager
def started(number: int, opener: StorageOpener) -> Iterator[Helpers | None]:
    """Fork ``number`` helpers, or none where one process is to do all; end them afterwards.

    Call it before any thread or connection exists.
    """
    if number < 2:
        yield None
        return
    helpers = Helpers(number, opener)
    try:
        yield helpers
    finally:
        helpers.close()


class _Throttled:
    """Sends progress to the job, not more often than it is worth."""

    def __init__(self, send: Callable[[tuple[Any, ...]], None]) -> None:
        self._send = send
        self._files = self._bytes = 0
        self._next = 0.0

    def __call__(self, files: int, size: int) -> None:
        """Add what was done since the last call."""
        self._files += files
        self._bytes += size
        now = time.monotonic()
        if now >= self._next:
            self._next = now + REPORT_SECONDS
            self.flush()

    def flush(self) -> None:
        """Send what was not sent yet."""
        self._send(("progress", self._files, self._bytes))
        self._files = self._bytes = 0


def _run(job: int, opener: StorageOpener, pipe: Connection, inherited: list[Connection]) -> NoReturn:
    """Be a helper until the pipe closes; this is the outermost edge of its process."""
    die_with_parent(job)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, unwind)
    for other in inherited:
        other.close()
    status = 1
    try:
        _serve(opener, pipe)
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    except _GONE:
        status = 0  # the job ended first
    except PapiError as error:
        tell_failure(pipe, error.code, error.message, "")
    except Exception as error:  # the outermost edge: told to the job as what it is
        text = f"A process of the restore failed: {type(error).__name__}."
        tell_failure(pipe, InternalError.code, text, traceback.format_exc())
    finally:
        sys.stderr.flush()
        os._exit(status)  # a thread that still waits for the storage must not hold this up


def _serve(opener: StorageOpener, pipe: Connection) -> None:
    message = pipe.recv()
    storage = opener()
    if message[0] == "connect":
        message = pipe.recv()
    plan: WorkPlan = dataclasses.replace(message[1], root=recv_handle(pipe))

    def claim(group: str, path: bytes) -> bool:
        pipe.send(("claim", group, path))
        return bool(pipe.recv()[1])

    told = _Throttled(pipe.send)
    worker = Worker(plan, storage, claim, told)
    try:
        while True:
            share: Share = pipe.recv()[1]
            result = worker.run(share)
            told.flush()
            pipe.send(("done", result))
    except EOFError:
        worker.close(wait=False)
        storage.close()
        raise
    finally:
        worker.abandon()
