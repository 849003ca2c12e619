# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One listener in a thread of its own: its event loop, and with it the threads that answer its calls.

Who keeps one listener busy keeps no other one busy: root's calls over the unix socket share neither event
loop nor threads with those of strangers over TCP.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import sys
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future

from uvicorn.config import Config

from papi_backup.api.app import BackupApplication, create_app
from papi_backup.api.connections import QuietServer, protocol_class
from papi_backup.api.request import Limits
from papi_backup.jobs.heartbeat import Heartbeat

log = logging.getLogger(__name__)

STUCK_SECONDS = 30.0
BEAT_SECONDS = 5.0
KEEP_ALIVE_SECONDS = 15
SWITCH_SECONDS = 0.00005
"""After how long a thread that only computes lets another go on.  An event loop asks for the interpreter
after each call of the kernel, so with Python's 5 ms one thread that parses what strangers send would delay
each of a hundred connections by as much."""

STARTING_SECONDS = 30.0
LEAVING_SECONDS = 5.0
"""How long :meth:`ListenerThread.join` waits beyond its timeout for cancelled requests to let go."""


class ListenerThread:
    """Serves an application on a bound socket.  Methods are called from one thread."""

    def __init__(
        self,
        name: str,
        bound: socket.socket,
        application: BackupApplication,
        limits: Limits,
        *,
        tls: ssl.SSLContext | None = None,
        beside: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Nothing listens yet.  ``beside`` is run in the same event loop for as long as it serves."""
        self.heartbeat = Heartbeat(f"API on {name}", STUCK_SECONDS)
        self._name = name
        self._bound = bound
        self._config = _config(application, limits, tls)
        self._beside = beside
        self._server: QuietServer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        # A daemon thread's own threads are daemons: a request that hangs does not keep the agent alive.
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="api", daemon=True)

    def start(self) -> None:
        """Listen and serve; raises what keeps it from that."""
        sys.setswitchinterval(SWITCH_SECONDS)
        self._thread.start()
        self._started.result(STARTING_SECONDS)
        log.info("the API listens on %s", self._name)

    def request_stop(self, timeout: float) -> None:
        """Have it stop listening, let requests under way end for up to ``timeout`` seconds, then hang up."""
        if self._thread.is_alive() and self._loop is not None and self._server is not None:
            self._loop.call_soon_threadsafe(self._server.request_stop, timeout)

    def join(self, timeout: float) -> None:
        """Wait until it has stopped, ``timeout`` being that of :meth:`request_stop`."""
        self._thread.join(timeout + LEAVING_SECONDS)
        if self._thread.is_alive():
            log.error("the API on %s did not stop in time", self._name)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if not self._started.done():
                self._started.set_exception(error)
            else:
                # The heartbeat ends with the loop, and the watchdog with the heartbeat.
                log.exception("the event loop of the API on %s ended", self._name)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._server = QuietServer(self._config)
        tasks = [asyncio.create_task(self._beat(self._server))]
        if self._beside is not None:
            tasks.append(asyncio.ensure_future(self._beside()))
        try:
            await self._server.serve([self._bound])
        finally:
            for task in tasks:
                task.cancel()

    async def _beat(self, server: QuietServer) -> None:
        while not server.started:
            await asyncio.sleep(0.01)
        self._started.set_result(None)
        while True:
            self.heartbeat.beat()
            await asyncio.sleep(BEAT_SECONDS)


def _config(application: BackupApplication, limits: Limits, tls: ssl.SSLContext | None) -> Config:
    config = Config(
        create_app(application),
        http=protocol_class(limits, application.known_addresses),
        ws="none",
        lifespan="off",
        log_config=None,
        # A warning for each malformed request would let strangers fill the log.
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    config.load()
    config.ssl = tls
    return config
