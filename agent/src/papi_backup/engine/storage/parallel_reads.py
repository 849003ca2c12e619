# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several reads under way at once, where each request has a connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue

from papi_backup.engine.storage.ahead import Pending

READERS = 2
"""Reads under way: while a server looks for one range the last one comes."""

Get = Callable[[str, int, int], bytes]


class ParallelReads:
    """Begins reads in threads, which are started when they are needed first.

    The threads are daemons: a process that ends waits for no answer of a server.
    """

    def __init__(self, get: Get) -> None:
        """``get`` is what each read does with (name, offset, length); it is called by several threads."""
        self._get = get
        self._wanted: SimpleQueue[tuple[Future[bytes], tuple[str, int, int]] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def begin(self, name: str, offset: int, length: int) -> Pending:
        """Begin a read; its result is what ``get`` returns or raises."""
        future: Future[bytes] = Future()
        self._wanted.put((future, (name, offset, length)))
        if len(self._threads) < READERS:
            thread = threading.Thread(target=self._serve, name="read", daemon=True)
            self._threads.append(thread)
            thread.start()
        return future

    def close(self) -> None:
        """Let the threads end after what was begun; waits for none."""
        for _thread in self._threads:
            self._wanted.put(None)
        self._threads = []

    def _serve(self) -> None:
        while (order := self._wanted.get()) is not None:
            future, wanted = order
            try:
                future.set_result(self._get(*wanted))
            except BaseException as error:  # told to whoever asks for the result, as it is
                future.set_exception(error)
