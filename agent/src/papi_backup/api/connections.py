# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""uvicorn's connections, with what they lack: a deadline for a request's head, and the unix socket's peer."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import Server

from papi_backup.api.peers import peer_of
from papi_backup.api.request import PEER_KEY, Limits


def protocol_class(limits: Limits) -> type[asyncio.Protocol]:
    """Return the class of connections whose requests' heads come within ``limits.head_seconds``."""

    class Connection(WatchedConnection):
        head_seconds = limits.head_seconds

    return Connection


class WatchedConnection(H11Protocol):
    """One connection.  A client that sends a head byte by byte is hung up on; an idle one too."""

    head_seconds: float = 0.0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Learn who it is, and wait for the first request."""
        super().connection_made(cast("asyncio.Transport", transport))
        # uvicorn's access log has whole query strings, passwords and all; ours has none.
        self.access_log = False
        connection = transport.get_extra_info("socket")
        # The application of this connection alone: every request of it carries the same peer.
        self.app = _with_peer(self.app, connection)
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        """Take bytes in; while they are no whole head, the deadline runs on."""
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._forget_deadline()
        super().connection_lost(exc)

    def _watch_head(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._forget_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.head_seconds, self.transport.close)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class QuietServer(Server):
    """uvicorn's server without its ten wake-ups a second; :meth:`request_stop` ends it."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._stopping = asyncio.Event()

    async def main_loop(self) -> None:
        """Sleep until asked to stop."""
        self.server_state.default_headers = self.config.encoded_headers
        await self._stopping.wait()

    def request_stop(self, timeout: float) -> None:
        """Stop listening; requests under way get ``timeout`` seconds.  Call it in the event loop."""
        self.config.timeout_graceful_shutdown = max(1, round(timeout))
        self._stopping.set()


def _with_peer(app: ASGIApp, connection: socket.socket) -> ASGIApp:
    peer = peer_of(connection)

    async def with_peer(scope: Scope, receive: Receive, send: Send) -> None:
        scope[PEER_KEY] = peer
        await app(scope, receive, send)

    return with_peer
