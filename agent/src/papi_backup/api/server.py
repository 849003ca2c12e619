# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the API in threads of the agent, one for each listener: start and stop."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from pathlib import Path

from papi_backup.api.app import BackupApplication
from papi_backup.api.call import AgentInfo
from papi_backup.api.dispatch import Dispatcher
from papi_backup.api.gate import Gate
from papi_backup.api.listeners import bind_tcp, bind_unix
from papi_backup.api.origins import AllowedOrigins
from papi_backup.api.peers import TrustedPeers
from papi_backup.api.request import Limits
from papi_backup.api.serving import ListenerThread
from papi_backup.api.table import by_path
from papi_backup.api.tls import ServerTls
from papi_backup.config import Settings
from papi_backup.jobs.heartbeat import Heartbeat
from papi_backup.services.container import Services


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
        self._settings = settings.api
        self._tls = tls or ServerTls(settings)
        self._limits = limits or Limits()
        self._trusted = TrustedPeers(settings.api.socket_group)
        agent = AgentInfo(settings.host_name, instance_id, settings.zone)
        self._gate = Gate(services.access, self._trusted, AllowedOrigins(settings.api.allowed_origins))
        self._dispatcher = Dispatcher(by_path(), services, self._gate, agent)
        self._listeners: list[ListenerThread] = []
        self._socket_file: tuple[Path, int] | None = None
        self.tcp_port = 0
        """The port of the TCP listener once started, 0 when there is none."""

    @property
    def heartbeats(self) -> tuple[Heartbeat, ...]:
        """One of each listener that was started."""
        return tuple(listener.heartbeat for listener in self._listeners)

    def start(self) -> None:
        """Listen and serve.

        Raises :class:`InternalError` when a socket cannot be bound or a certificate cannot be made, and
        :class:`InvalidParameterError` for a given one that cannot be used.
        """
        self._listeners = self._bind()
        for listener in self._listeners:
            listener.start()

    def stop(self, timeout: float) -> None:
        """Stop listening, let requests under way end for up to ``timeout`` seconds, then hang up."""
        for listener in self._listeners:
            listener.request_stop(timeout)
        give_up = time.monotonic() + timeout
        for listener in self._listeners:
            listener.join(max(0.0, give_up - time.monotonic()))
        self._remove_socket_file()

    def _bind(self) -> list[ListenerThread]:
        listeners: list[ListenerThread] = []
        with ExitStack() as undo:
            if self._settings.listen:
                tls = self._tls.context() if self._settings.uses_tls else None
                bound = undo.enter_context(bind_tcp(self._settings))
                self.tcp_port = bound.getsockname()[1]
                name = f"{bound.getsockname()[0]} port {self.tcp_port}"
                application = self._application()
                listeners.append(
                    ListenerThread(
                        name, bound, application, self._limits, tls=tls, beside=self._tls.keep_fresh
                    )
                )
            if self._settings.socket is not None:
                path = self._settings.socket
                bound = undo.enter_context(bind_unix(path, self._trusted.group_id))
                self._socket_file = (path, path.lstat().st_ino)
                listeners.append(ListenerThread(str(path), bound, self._application(), self._limits))
            undo.pop_all()
        return listeners

    def _application(self) -> BackupApplication:
        """Return an application with threads of its own."""
        return BackupApplication(self._dispatcher, self._gate, self._limits)

    def _remove_socket_file(self) -> None:
        """Remove the socket's file, unless another agent has put its own there."""
        if self._socket_file is not None:
            path, inode = self._socket_file
            try:
                if path.lstat().st_ino == inode:
                    os.unlink(path)
            except FileNotFoundError:
                pass
