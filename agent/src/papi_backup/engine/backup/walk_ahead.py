# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that walks ahead of an incremental, which compares and writes meanwhile.

The walk is a third of what an incremental does, or more: the kernel is asked about every file, most of them
unchanged.  It begins before the storage answers, and stops as soon as a pipe is full of what it found.
"""

from __future__ import annotations

import contextlib
import fcntl
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from typing import NoReturn

from papi_backup.engine.backup.directories import Directory
from papi_backup.engine.backup.status import Statuses, pack, unpack
from papi_backup.engine.backup.walk import Attributes, Batch, Found, Warn
from papi_backup.engine.child_process import die_with_parent, how_it_ended, tell_failure
from papi_backup.memory_limit import MemoryWatch
from papi_backup.model.errors import InternalError, PapiError, from_code

_TOGETHER = 256
"""Entries of one message: a message costs as much as several of them."""
_PIPE_SIZE = 1 << 20
"""Bytes of messages that may wait: what the system allows without asking."""
_GRACE_SECONDS = 10.0

Walk = Callable[[Warn], Iterable[Batch]]
"""Walks everything, telling what could not be looked at."""


class WalkAhead:
    """Forks at once, and walks at once; :meth:`batches` is what it finds.

    Make it before any thread or connection exists, and :meth:`close` it in any case.  ``inherited`` are pipes
    that the job has: this process must not hold their ends open when the job closes them.
    """

    def __init__(self, walk: Walk, inherited: Iterable[Connection] = ()) -> None:
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe(duplex=False)
        with contextlib.suppress(OSError):  # a system that allows less
            fcntl.fcntl(theirs.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
        self._memory = MemoryWatch()
        arguments = (os.getpid(), walk, theirs, [self._pipe, *inherited])
        self._process = context.Process(target=_run, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def batches(self, warn: Warn) -> Iterator[Batch]:
        """Yield what the walk finds, in its order.

        Raises the PapiError that it ended with, and InternalError if it ended before its end.
        """
        while True:
            try:
                kind, *message = self._pipe.recv()
            except (EOFError, OSError):  # the latter in the middle of a message
                self._process.join(_GRACE_SECONDS)
                raise InternalError(
                    f"The walking process {how_it_ended(self._process, self._memory)}; "
                    "nothing of this backup counts."
                ) from None
            if kind == "found":
                yield _unpacked(*message)
            elif kind == "warning":
                warn(*message)
            elif kind == "failed":
                code, text, trace = message
                if trace:
                    sys.stderr.write(trace)
                raise from_code(code, text)
            else:
                return

    def close(self) -> None:
        """End the process, whatever it does; may be called again."""
        self._pipe.close()
        self._process.join(_GRACE_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _packed(batch: Batch) -> tuple[object, ...]:
    """Return a batch as the message in which it crosses."""
    paths = b"\0".join(path for path, _status in batch.found)
    statuses = pack([status for _path, status in batch.found])
    places = [(stop, *place) for stop, place in batch.places]
    return "found", paths, statuses, batch.ancestors, places, dict(batch.attributes)


def _unpacked(
    paths: bytes,
    statuses: Statuses,
    ancestors: bool,
    places: list[tuple[int, bytes, int, int]],
    attributes: Attributes,
) -> Batch:
    found: list[Found] = list(zip(paths.split(b"\0"), unpack(statuses), strict=True))
    directories = [(stop, Directory(path, device, inode)) for stop, path, device, inode in places]
    return Batch(found, ancestors, directories, attributes)


def _gathered(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Yield the same in batches that are worth a message."""
    together = Batch([])
    for batch in batches:
        size = len(together.found)
        if size and (batch.ancestors or size + len(batch.found) > _TOGETHER):
            yield together
            together = Batch([])
        if not batch.ancestors:
            together = _joined(together, batch) if together.found else batch
        elif batch.found:
            yield batch
    if together.found:
        yield together


def _joined(first: Batch, second: Batch) -> Batch:
    before = len(first.found)
    places = [*first.places, *((before + stop, place) for stop, place in second.places)]
    return Batch(first.found + second.found, False, places, {**first.attributes, **second.attributes})


def _run(job: int, walk: Walk, pipe: Connection, inherited: Iterable[Connection]) -> NoReturn:
    """Walk, and end; this is the outermost edge of its process."""
    die_with_parent(job)
    # The job is told to end, and closes the pipe: who died before it would look like a failure.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for other in inherited:
        other.close()
    status = 1
    try:
        for batch in _gathered(walk(lambda path, text: pipe.send(("warning", path, text)))):
            pipe.send(_packed(batch))
        pipe.send(("end",))
        status = 0
    except (BrokenPipeError, ConnectionResetError):
        status = 0  # the job ended first
    except PapiError as error:
        tell_failure(pipe, error.code, error.message, "")
    except Exception as error:  # nobody above: untold, a process would vanish without a cause
        text = f"The walking process failed: {type(error).__name__}."
        tell_failure(pipe, InternalError.code, text, traceback.format_exc())
    finally:
        sys.stderr.flush()
        os._exit(status)
