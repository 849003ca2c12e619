# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several reads under way at once, where each request has a connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue

from papi_backup.engine.storage.ahead import Later, Pending

READERS = 2
"""Reads under way: while a server looks for one range the last one comes."""

Get = Callable[[str, int, int], bytes]
_Order = tuple[Future[bytes], tuple[str, int, int]]


def start_daemon(run: Callable[[], None]) -> None:
    """Run something in a thread.  Raises RuntimeError where the host allows no more of them."""
    threading.Thread(target=run, name="read", daemon=True).start()


class ParallelReads:
    """Begins reads in threads, which are started when they are needed first.

    The threads are daemons: a process that ends waits for no answer of a server.
    """

    def __init__(self, get: Get, start: Callable[[Callable[[], None]], None] = start_daemon) -> None:
        """``get`` is what each read does with (name, offset, length); it is called by several threads."""
        self._get = get
        self._start = start
        self._wanted: SimpleQueue[_Order | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._closed = False

    def begin(self, name: str, offset: int, length: int) -> Pending:
        """Begin a read; its result is what ``get`` returns or raises.  Never raises.

        Where no thread can be had, and after :meth:`close`, it reads when the result is asked for.
        """
        with self._lock:
            if self._closed or not self._has_threads():
                return Later(lambda: self._get(name, offset, length))
            future: Future[bytes] = Future()
            self._wanted.put((future, (name, offset, length)))
            return future

    def close(self) -> None:
        """Let the threads end after what was begun; waits for none."""
        with self._lock:
            self._closed = True
            for _thread in range(self._threads):
                self._wanted.put(None)

    def _has_threads(self) -> bool:
        """Start one more while there are too few; return whether there is any."""
        if self._threads < READERS:
            try:
                self._start(self._serve)
                self._threads += 1
            except RuntimeError:
                return self._threads > 0
        return True

    def _serve(self) -> None:
        while (order := self._wanted.get()) is not None:
            self._read(*order)
            del order  # what was read is not kept until the next read

    def _read(self, future: Future[bytes], wanted: tuple[str, int, int]) -> None:
        try:
            future.set_result(self._get(*wanted))
        except BaseException as error:  # told to whoever asks for the result, as it is
            future.set_exception(error)
