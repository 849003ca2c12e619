# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the API in a thread of the agent: listeners, event loop, start and stop."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import threading
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from uvicorn.config import Config

from papi_backup.api.app import create_app
from papi_backup.api.call import AgentInfo
from papi_backup.api.connections import QuietServer, protocol_class
from papi_backup.api.dispatch import Dispatcher
from papi_backup.api.gate import Gate
from papi_backup.api.listeners import bind_tcp, bind_unix
from papi_backup.api.peers import TrustedPeers
from papi_backup.api.request import Limits
from papi_backup.api.table import by_path
from papi_backup.api.tls import ServerTls
from papi_backup.config import Settings
from papi_backup.jobs.heartbeat import Heartbeat
from papi_backup.services.container import Services

log = logging.getLogger(__name__)

STUCK_SECONDS = 30.0
BEAT_SECONDS = 5.0
KEEP_ALIVE_SECONDS = 15
STARTING_SECONDS = 30.0
LEAVING_SECONDS = 5.0
"""How long :meth:`ApiServer.stop` waits beyond its timeout for cancelled requests to let go."""


@dataclass(frozen=True, slots=True)
class _Listener:
    name: str
    bound: socket.socket
    config: Config


class ApiServer:
    """The Backup API on the sockets that the settings name.  Methods are called from one thread."""

    def __init__(
        self,
        settings: Settings,
        services: Services,
        instance_id: str,
        *,
        limits: Limits | None = None,
        tls: ServerTls | None = None,
    ) -> None:
        """Nothing is bound yet.  An unknown ``socket_group`` raises :class:`InvalidParameterError`."""
        self.heartbeat = Heartbeat("API", STUCK_SECONDS)
        self._settings = settings.api
        self._tls = tls or ServerTls(settings)
        self._limits = limits or Limits()
        self._trusted = TrustedPeers(settings.api.socket_group)
        agent = AgentInfo(settings.host_name, instance_id, settings.zone)
        gate = Gate(services.access, self._trusted)
        self._app = create_app(Dispatcher(by_path(), services, gate, agent), self._limits)
        self._servers: list[QuietServer] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._socket_file: tuple[Path, int] | None = None
        self.tcp_port = 0
        """The port of the TCP listener once started, 0 when there is none."""

    def start(self) -> None:
        """Listen and serve.

        Raises :class:`InternalError` when a socket cannot be bound or a certificate cannot be made, and
        :class:`InvalidParameterError` for a given one that cannot be used.
        """
        listeners = self._bind()
        started: Future[None] = Future()
        # A daemon thread's own threads are daemons: a request that hangs does not keep the agent alive.
        self._thread = threading.Thread(target=self._run, args=(listeners, started), name="api", daemon=True)
        self._thread.start()
        started.result(STARTING_SECONDS)
        for listener in listeners:
            log.info("the API listens on %s", listener.name)

    def stop(self, timeout: float) -> None:
        """Stop listening, let requests under way end for up to ``timeout`` seconds, then hang up."""
        if self._thread is None or self._loop is None:
            return
        if self._thread.is_alive():
            for server in self._servers:
                self._loop.call_soon_threadsafe(server.request_stop, timeout)
        self._thread.join(timeout + LEAVING_SECONDS)
        if self._thread.is_alive():
            log.error("the API did not stop in time")
        self._remove_socket_file()

    def _bind(self) -> list[_Listener]:
        listeners: list[_Listener] = []
        with ExitStack() as undo:
            if self._settings.listen:
                config = self._config(self._tls.context() if self._settings.uses_tls else None)
                bound = undo.enter_context(bind_tcp(self._settings))
                self.tcp_port = bound.getsockname()[1]
                listeners.append(_Listener(f"{bound.getsockname()[0]} port {self.tcp_port}", bound, config))
            if self._settings.socket is not None:
                config = self._config(None)
                bound = undo.enter_context(bind_unix(self._settings.socket, self._trusted.group_id))
                self._socket_file = (self._settings.socket, self._settings.socket.lstat().st_ino)
                listeners.append(_Listener(str(self._settings.socket), bound, config))
            undo.pop_all()
        return listeners

    def _config(self, tls: ssl.SSLContext | None) -> Config:
        config = Config(
            self._app,
            http=protocol_class(self._limits),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        config.load()
        config.ssl = tls
        return config

    def _run(self, listeners: list[_Listener], started: Future[None]) -> None:
        try:
            asyncio.run(self._serve(listeners, started))
        except BaseException as error:
            if not started.done():
                started.set_exception(error)
            else:
                # The heartbeat ends with the loop, and the watchdog with the heartbeat.
                log.exception("the API's event loop ended")

    async def _serve(self, listeners: list[_Listener], started: Future[None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._servers = [QuietServer(listener.config) for listener in listeners]
        tasks = [asyncio.create_task(self._beat(started)), asyncio.create_task(self._tls.keep_fresh())]
        try:
            await asyncio.gather(
                *(
                    server.serve([listener.bound])
                    for server, listener in zip(self._servers, listeners, strict=True)
                )
            )
        finally:
            for task in tasks:
                task.cancel()

    async def _beat(self, started: Future[None]) -> None:
        while not all(server.started for server in self._servers):
            await asyncio.sleep(0.01)
        started.set_result(None)
        while True:
            self.heartbeat.beat()
            await asyncio.sleep(BEAT_SECONDS)

    def _remove_socket_file(self) -> None:
        """Remove the socket's file, unless another agent has put its own there."""
        if self._socket_file is not None:
            path, inode = self._socket_file
            try:
                if path.lstat().st_ino == inode:
                    os.unlink(path)
            except FileNotFoundError:
                pass
