# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""uvicorn's connections, with what they lack: bounds of time and number, and the unix socket's peer."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import sys
import termios
from asyncio.sslproto import SSLProtocol
from collections import Counter, OrderedDict
from typing import Any, ClassVar, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import Server

from papi_backup.api.door import Door, Guest, hang_up
from papi_backup.api.framing import StrictConnection
from papi_backup.api.peers import peer_of
from papi_backup.api.request import PEER_KEY, Limits
from papi_backup.api.turns import network_of

READ_BYTES = 16 << 10
"""How much of a connection is read before others have their turn.  asyncio's 256 KiB, times as many strangers
who send large bodies, would make everybody wait at each of the dozen turns that a call takes."""

SSLProtocol.max_size = READ_BYTES

FEW = 8
"""So many connections of one network or address are no crowd: owners have some at once, too."""


def protocol_class(limits: Limits) -> type[WatchedConnection]:
    """Return the class of one listener's connections, within ``limits``."""

    class Connection(WatchedConnection):
        bounds = limits
        others: ClassVar[OrderedDict[WatchedConnection, None]] = OrderedDict()

    return Connection


class _CountedTransport:
    """A transport that counts what is written: bytes that are not sent yet may be those of another answer."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.written = 0
        self._closing = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write."""
        self.written += len(data)
        self._transport.write(data)

    def close(self) -> None:
        """Close; once, because asyncio's TLS forgets a connection that is closed twice."""
        if not self._closing:
            self._closing = True
            self._transport.close()


class WatchedConnection(H11Protocol, Guest):
    """One connection.  A client that sends a head byte by byte is hung up on; an idle one too.

    Where there are too many, the one that has been quiet for longest makes room, unless it waits for an
    answer: whoever just opens connections pushes out their own.  The network that has most connections makes
    room first, and of its addresses the one that has most.
    """

    bounds: Limits = Limits()
    others: ClassVar[OrderedDict[WatchedConnection, None]] = OrderedDict()
    """Of the same listener, this one included, the longest quiet first."""

    _arrived: socket.socket | None = None
    """The connection until there is a transport."""

    _place = ("", "")
    """Network and address that it comes from."""

    _deadline: asyncio.TimerHandle | None = None
    _look: asyncio.TimerHandle | None = None
    _seen = (0, 0)

    def arrive(self, connection: socket.socket) -> None:
        """Take a place among the others, before any handshake: who says nothing counts too."""
        self._arrived = connection
        self._place = _place_of(connection)
        self.others[self] = None
        if len(self.others) > self.bounds.connections:
            leaving = self._who_leaves()
            # Closing may take long where the client does not read; it counts no more from now on.
            self.others.pop(leaving)
            leaving._leave()

    def _who_leaves(self) -> WatchedConnection:
        networks = Counter(other._place[0] for other in self.others)
        places = Counter(other._place for other in self.others)

        def crowd(other: WatchedConnection) -> tuple[int, int]:
            in_network, at_address = networks[other._place[0]], places[other._place]
            return in_network if in_network > FEW else 0, at_address if at_address > FEW else 0

        quiet = (other for other in self.others if not other._waits_for_its_answer)
        return max(quiet, key=crowd, default=self)

    def turn_away(self) -> None:
        """Give the place back: the handshake failed."""
        self._arrived = None
        self.others.pop(self, None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Learn who it is, and wait for the first request."""
        self._arrived = None
        self._counted = _CountedTransport(cast("asyncio.Transport", transport))
        super().connection_made(cast("asyncio.Transport", self._counted))
        self.conn = StrictConnection()
        # uvicorn's access log has whole query strings, passwords and all; ours has none.
        self.access_log = False
        cast("Any", transport).max_size = READ_BYTES
        connection = transport.get_extra_info("socket")
        # The application of this connection alone: every request of it carries the same peer.
        self.app = _with_peer(self.app, connection)
        self._watch_head()
        self._look = self.loop.call_later(self.bounds.send_seconds, self._watch_sending)

    def data_received(self, data: bytes) -> None:
        """Take bytes in; while they are no whole head, the deadline runs on."""
        if self in self.others:
            self.others.move_to_end(self)
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadlines."""
        self.others.pop(self, None)
        self._forget_deadline()
        if self._look is not None:
            self._look.cancel()
        super().connection_lost(exc)

    @property
    def _waits_for_its_answer(self) -> bool:
        cycle = self.cycle
        return cycle is not None and not cycle.response_complete and not cycle.more_body

    def _leave(self) -> None:
        if self._arrived is not None:
            hang_up(self._arrived)
        elif self.transport is not None:
            self.transport.abort()

    def _watch_sending(self) -> None:
        """Hang up on a client that has taken nothing since the last look; closing would wait for it."""
        unsent = self.transport.get_write_buffer_size() + _unsent_by_the_kernel(self.transport)
        seen = (self._counted.written, unsent)
        if unsent and seen == self._seen:
            self.transport.abort()
            return
        self._seen = seen
        self._look = self.loop.call_later(self.bounds.send_seconds, self._watch_sending)

    def _watch_head(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._forget_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.bounds.head_seconds, self.transport.close)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class QuietServer(Server):
    """uvicorn's server behind doors of our own, without its ten wake-ups a second.

    :meth:`request_stop` ends it.
    """

    def __init__(self, config: Config) -> None:
        """``config.http`` is of :func:`protocol_class`."""
        super().__init__(config)
        self._stopping = asyncio.Event()
        self._doors: list[Door] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on ``sockets``, which are bound."""
        self.servers = []  # uvicorn's own, which it would close
        made = cast("type[WatchedConnection]", self.config.http_protocol_class)

        def connection() -> WatchedConnection:
            return made(self.config, self.server_state, self.lifespan.state)

        self._doors = [
            Door(listener, connection, self.config.ssl, made.bounds.handshake_seconds)
            for listener in sockets or ()
        ]
        for door in self._doors:
            door.open(self.config.backlog)
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, then wait for requests under way."""
        for door in self._doors:
            door.close()
        await super().shutdown(sockets)

    async def main_loop(self) -> None:
        """Sleep until asked to stop."""
        self.server_state.default_headers = self.config.encoded_headers
        await self._stopping.wait()

    def request_stop(self, timeout: float) -> None:
        """Stop listening; requests under way get ``timeout`` seconds.  Call it in the event loop."""
        self.config.timeout_graceful_shutdown = max(1, round(timeout))
        self._stopping.set()


def _place_of(connection: socket.socket) -> tuple[str, str]:
    """Return network and address of the other end; all who come over the unix socket come from one place."""
    try:
        name = connection.getpeername()
    except OSError:
        return "", ""
    address = str(name[0]) if isinstance(name, tuple) else ""
    return network_of(address), address


def _unsent_by_the_kernel(transport: asyncio.Transport) -> int:
    """Return how many bytes the other end has not taken yet; the kernel takes megabytes before it waits."""
    answer = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
    return int.from_bytes(answer, sys.byteorder)


def _with_peer(app: ASGIApp, connection: socket.socket) -> ASGIApp:
    peer = peer_of(connection)

    async def with_peer(scope: Scope, receive: Receive, send: Send) -> None:
        scope[PEER_KEY] = peer
        await app(scope, receive, send)

    return with_peer
