# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes that read: each runs the whole pipeline on its own files (docs/design.md).

File bytes never cross a process.  Helpers are forked before any thread or connection exists; the
key material reaches them over a pipe once the parent backup is known.
"""

from __future__ import annotations

import ctypes
import itertools
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from multiprocessing.sharedctypes import Synchronized
from queue import SimpleQueue
from typing import Any, NamedTuple

from papi_backup.engine.backup.chunk_index import ChunkIndex
from papi_backup.engine.backup.content import ContentReader, Group
from papi_backup.engine.backup.leases import Patience
from papi_backup.engine.backup.previous import KnownChunks
from papi_backup.engine.backup.readings import PackedReadings, ReadFile, pack, unpack
from papi_backup.engine.backup.segments import SegmentWriter
from papi_backup.engine.backup.setup import WriterSetup
from papi_backup.engine.backup.volumes import VolumeWriter
from papi_backup.engine.child_process import how_it_ended, tell_failure
from papi_backup.engine.format.names import CONTENT
from papi_backup.engine.format.pages import Volume
from papi_backup.engine.format.references import SegmentRef
from papi_backup.engine.opened import WHOLE, ListShare
from papi_backup.engine.storage.protocol import Storage, StorageOpener
from papi_backup.memory_limit import MemoryWatch
from papi_backup.model.errors import InternalError, PapiError, from_code

DEPTH = 3
"""Batches a helper may have waiting: enough to never be idle, few enough to bound memory."""

MOST_HELD = 256
"""Messages that are kept back while the helpers fill the index: the walk goes on meanwhile."""

TICK = 0.5
"""Seconds of waiting after which :attr:`HelperPool.while_waiting` is called."""

_GRACE_SECONDS = 5.0


def nothing() -> None:
    """Do nothing while waiting."""


SEALED, FINISHED, FILLED = -1, -2, -3
"""Numbers of the answers to what :class:`HelperPool` asks for beside batches."""


class BatchResult(NamedTuple):
    """What came of one batch.  ``sealed`` are segment references by the job's own numbers."""

    batch: int
    files: list[ReadFile]
    sealed: list[tuple[int, SegmentRef]]
    volumes: list[Volume]


class Pipeline:
    """Reads files into volumes of its own; lives in a helper, or in the job itself."""

    def __init__(
        self,
        setup: WriterSetup,
        storage: Storage,
        index: ChunkIndex,
        counter: Synchronized[int],
        numbers: Iterator[int],
        *,
        note: Callable[[int], None],
        patience: Patience,
    ) -> None:
        self._sealed: list[tuple[int, SegmentRef]] = []
        self._storage = storage
        self._index = index
        self._counter = counter
        self._volumes = VolumeWriter(storage, setup, CONTENT, self._next_volume)
        self._segments = SegmentWriter(
            setup,
            CONTENT,
            self._volumes,
            numbers,
            lambda number, reference: self._sealed.append((number, reference)),
        )
        self._reader = ContentReader(
            setup.keys, setup.chunker, index, self._segments, note=note, patience=patience
        )

    def _next_volume(self) -> int:
        with self._counter.get_lock():
            number: int = self._counter.value
            self._counter.value = number + 1
            return number

    def fill(self, known: KnownChunks, share: ListShare) -> BatchResult:
        """Put a share of what the chain holds already into the index, which all helpers have in common."""
        return BatchResult(FILLED, [], known.fill(self._storage, self._index, share), [])

    def read(self, batch: int, groups: Sequence[Group]) -> BatchResult:
        """Read files; their segments may be sealed later."""
        files = self._reader.read_all(groups)
        sealed, self._sealed[:] = list(self._sealed), []
        return BatchResult(batch, files, sealed, [])

    def seal(self) -> BatchResult:
        """Seal the segment that is being filled, so that nothing waits for it any more."""
        self._segments.flush()
        sealed, self._sealed[:] = list(self._sealed), []
        return BatchResult(SEALED, [], sealed, [])

    def finish(self) -> BatchResult:
        """Seal and commit what is left."""
        self._segments.finish()
        return BatchResult(FINISHED, [], list(self._sealed), self._volumes.finished)

    def abort(self) -> None:
        """Drop the unfinished volume."""
        self._volumes.abort()


class _Helper:
    """One forked process and the job's end of its pipe."""

    def __init__(self, number: int, process: ForkProcess, pipe: Connection) -> None:
        self.number = number
        self.process = process
        self.pipe = pipe
        self.waiting = 0


class HelperPool:
    """Forks ``count`` helpers at once; with 0 the job reads by itself, which tests of the format use."""

    def __init__(self, count: int, opener: StorageOpener) -> None:
        context = multiprocessing.get_context("fork")
        self._opener = opener
        self.index = ChunkIndex(context.Lock())
        self._counter: Synchronized[int] = context.Value("Q", 0)
        self._patience = Patience()
        self._read = context.RawArray(ctypes.c_uint64, max(count, 1))
        self.while_waiting: Callable[[], None] = nothing
        """Called again and again while the helpers are waited for."""
        self._inline: Pipeline | None = None
        self._inline_storage: Storage | None = None
        self._memory = MemoryWatch()
        self._helpers: list[_Helper] = []
        self._held: deque[tuple[Any, ...]] = deque()
        """Messages that no helper has got yet, in the order in which they were meant."""
        self._filling = 0
        """Helpers that still put into the index what the chain holds already."""
        for number in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=self._run, args=(number, count, theirs, ours), daemon=True)
            process.start()
            theirs.close()
            self._helpers.append(_Helper(number, process, ours))

    @property
    def pipes(self) -> list[Connection]:
        """The job's ends of the helpers' pipes: whoever is forked later closes them, or they never end."""
        return [helper.pipe for helper in self._helpers]

    @property
    def is_filling(self) -> bool:
        """Whether the index does not know yet all that the chain holds."""
        return self._filling > 0

    @property
    def bytes_read(self) -> int:
        """How many bytes all helpers have read so far, of files they are still reading too."""
        return sum(self._read)

    def _noting(self, number: int) -> Callable[[int], None]:
        """Return what counts for one helper, in memory that the job shares; only that helper writes there."""

        def note(length: int) -> None:
            self._read[number] += length

        return note

    def _pipeline(
        self, setup: WriterSetup, storage: Storage, numbers: Iterator[int], note: Callable[[int], None]
    ) -> Pipeline:
        return Pipeline(
            setup, storage, self.index, self._counter, numbers, note=note, patience=self._patience
        )

    def start(self, setup: WriterSetup) -> None:
        """Hand the pipelines what they need."""
        if not self._helpers:
            self._inline_storage = self._opener()
            numbers, note = itertools.count(), self._noting(0)
            self._inline = self._pipeline(setup, self._inline_storage, numbers, note)
        for helper in self._helpers:
            self._send(helper, ("setup", setup))

    def fill(self, known: KnownChunks, receive: Callable[[BatchResult], None]) -> None:
        """Have the helpers put into the index what the chain holds already; nothing is read before that."""
        if self._inline is not None:
            receive(self._inline.fill(known, WHOLE))
            return
        self._filling = len(self._helpers)
        for helper in self._helpers:
            self._give(helper, ("fill", known, ListShare(helper.number, len(self._helpers))))

    def submit(self, batch: int, groups: Sequence[Group], receive: Callable[[BatchResult], None]) -> None:
        """Give a batch to the least busy helper; waits, receiving results, while all are busy.

        While the index is filled batches are kept back instead.
        """
        if self._inline is not None:
            receive(self._inline.read(batch, groups))
            return
        self._hold(("batch", batch, groups), receive)

    def _hold(self, message: tuple[Any, ...], receive: Callable[[BatchResult], None]) -> None:
        """Hand a message out when its turn comes; waits while too many are held."""
        self._held.append(message)
        self._hand_out()
        while len(self._held) > (MOST_HELD if self.is_filling else 0):
            self.receive(receive, timeout=None)
        self.receive(receive, timeout=0)

    def _hand_out(self) -> None:
        """Give the helpers what they may have now: batches one of them, all else each."""
        while self._held and not self.is_filling:
            if self._held[0][0] != "batch":
                message = self._held.popleft()
                for helper in self._helpers:
                    self._give(helper, message)
                continue
            helper = min(self._helpers, key=lambda one: one.waiting)
            if helper.waiting >= DEPTH:
                return
            self._give(helper, self._held.popleft())

    def receive(self, receive: Callable[[BatchResult], None], timeout: float | None) -> None:
        """Take what has arrived, waiting up to ``timeout`` seconds (None: until something arrives)."""
        busy = [helper for helper in self._helpers if helper.waiting]
        pipes = [helper.pipe for helper in busy]
        while not (ready := wait(pipes, TICK if timeout is None else timeout)) and timeout is None:
            self.while_waiting()
        for helper in busy:
            if helper.pipe in ready:
                result = self._take(helper)
                self._filling -= result.batch == FILLED
                receive(result)
        self._hand_out()

    @property
    def pipelines(self) -> int:
        """How many answers there are to :meth:`seal`."""
        return max(1, len(self._helpers))

    def seal(self, receive: Callable[[BatchResult], None]) -> None:
        """Have what was handed out so far sealed once it is read; each pipeline answers that."""
        if self._inline is not None:
            receive(self._inline.seal())
            return
        self._hold(("seal",), receive)

    def drain(self, receive: Callable[[BatchResult], None]) -> None:
        """Wait until every batch handed out has come back."""
        while self._held or any(helper.waiting for helper in self._helpers):
            self.receive(receive, timeout=None)

    def finish(self, receive: Callable[[BatchResult], None]) -> list[Volume]:
        """Wait for all batches, seal and commit what is left; return every volume written."""
        volumes: list[Volume] = []

        def take(result: BatchResult) -> None:
            volumes.extend(result.volumes)
            receive(result)

        if self._inline is not None:
            take(self._inline.finish())
            return volumes
        self._hold(("finish",), take)
        self.drain(take)
        return volumes

    def close(self) -> None:
        """End the helpers, whatever they do; unfinished volumes are dropped."""
        if self._inline is not None and self._inline_storage is not None:
            self._inline.abort()
            self._inline_storage.close()
        for helper in self._helpers:
            helper.pipe.close()
        for helper in self._helpers:
            helper.process.join(10)
            if helper.process.is_alive():
                helper.process.kill()
                helper.process.join()
        self._helpers = []
        self._inline = None
        self.index.close()

    def _give(self, helper: _Helper, message: tuple[Any, ...]) -> None:
        """Send what is answered."""
        helper.waiting += 1
        self._send(helper, message)

    def _send(self, helper: _Helper, message: tuple[Any, ...]) -> None:
        try:
            helper.pipe.send(message)
        except (BrokenPipeError, ConnectionResetError):
            self._take(helper)

    def _take(self, helper: _Helper) -> BatchResult:
        try:
            message = helper.pipe.recv()
        except (EOFError, ConnectionResetError):
            helper.process.join(10)
            raise InternalError(
                f"A reading process {how_it_ended(helper.process, self._memory)}; "
                "nothing of this backup counts."
            ) from None
        if message[0] == "failed":
            _kind, code, text, trace = message
            if trace:
                sys.stderr.write(trace)
            raise from_code(code, text)
        helper.waiting -= 1
        _kind, batch, packed, sealed, volumes = message
        return BatchResult(batch, unpack(packed), sealed, volumes)

    def _run(self, number: int, count: int, pipe: Connection, ours: Connection) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        ours.close()
        for helper in self._helpers:
            helper.pipe.close()
        pipeline: Pipeline | None = None
        try:
            pipeline = self._serve(number, count, pipe)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            os._exit(0)
        except PapiError as error:
            tell_failure(pipe, error.code, error.message, "")
        except Exception as error:  # the process' edge: told to the job, which reports it as internal
            text = f"A reading process failed: {type(error).__name__}."
            tell_failure(pipe, InternalError.code, text, traceback.format_exc())
        del pipeline

    def _serve(self, number: int, count: int, pipe: Connection) -> Pipeline:
        # A thread empties the pipe, so that the job never waits to send while this waits to answer.
        messages: SimpleQueue[tuple[Any, ...] | None] = SimpleQueue()
        threading.Thread(target=_forward, args=(pipe, messages), daemon=True).start()
        # Connected while the job still plans: over a long line that takes as long as the plan.
        storage = self._opener()
        setup: WriterSetup = _next(messages)[1]
        numbers, note = itertools.count(number, count), self._noting(number)
        pipeline = self._pipeline(setup, storage, numbers, note)
        try:
            while True:
                message = _next(messages)
                if message[0] == "finish":
                    result = pipeline.finish()
                    storage.close()
                    pipe.send(_packed(result))
                    return pipeline
                pipe.send(_packed(_done(pipeline, message)))
        except BaseException:
            pipeline.abort()
            storage.close()
            raise


def _done(pipeline: Pipeline, message: tuple[Any, ...]) -> BatchResult:
    """Do what a message asks for."""
    if message[0] == "fill":
        return pipeline.fill(message[1], message[2])
    return pipeline.seal() if message[0] == "seal" else pipeline.read(message[1], message[2])


def _packed(
    result: BatchResult,
) -> tuple[str, int, PackedReadings, list[tuple[int, SegmentRef]], list[Volume]]:
    """Return a result as the message in which it crosses."""
    return "result", result.batch, pack(result.files), result.sealed, result.volumes


def _forward(pipe: Connection, messages: SimpleQueue[tuple[Any, ...] | None]) -> None:
    """Hand on what arrives; None when the job has closed the pipe."""
    try:
        while True:
            messages.put(pipe.recv())
    except (EOFError, OSError):
        messages.put(None)
    # The job is gone: a helper in the middle of a large file must not go on beside the next job.
    time.sleep(_GRACE_SECONDS)
    os._exit(1)


def _next(messages: SimpleQueue[tuple[Any, ...] | None]) -> tuple[Any, ...]:
    message = messages.get()
    if message is None:
        raise EOFError
    return message
