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
from collections.abc import Callable
from typing import Any, ClassVar, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import Server

from papi_backup.api.crowd import Crowd
from papi_backup.api.door import Door, Guest, hang_up
from papi_backup.api.fair_share import FairShare, Place
from papi_backup.api.framing import StrictConnection
from papi_backup.api.known_addresses import KnownAddresses
from papi_backup.api.peers import peer_of
from papi_backup.api.request import PEER_KEY, Limits
from papi_backup.api.turns import network_of

READ_BYTES = 16 << 10
"""How much of a connection is read before others have their turn.  asyncio's 256 KiB, times as many strangers
who send large bodies, would make everybody wait at each of the dozen turns that a call takes."""

SSLProtocol.max_size = READ_BYTES


def protocol_class(limits: Limits, known_addresses: KnownAddresses) -> type[WatchedConnection]:
    """Return the class of one listener's connections, within ``limits``."""

    class Connection(WatchedConnection):
        bounds = limits
        known = known_addresses
        share = FairShare()
        others: ClassVar[Crowd[WatchedConnection]] = Crowd(share.served_last)

    return Connection


class _CountedTransport:
    """A transport that counts what is written: bytes that are not sent yet may be those of another answer.

    Its reading is paused by uvicorn, by :meth:`hold`, or by both, and goes on where neither wants a pause.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.written = 0
        self._closing = False
        self._paused = False
        self._held = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write."""
        self.written += len(data)
        self._transport.write(data)

    def pause_reading(self) -> None:
        """Read no more."""
        self._paused = True
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again, unless it is held."""
        self._paused = False
        if not self._held:
            self._transport.resume_reading()

    def hold(self) -> None:
        """Read no more until what was read is looked at."""
        self._held = True
        self._transport.pause_reading()

    def let_go(self) -> None:
        """Read again, unless it is paused."""
        self._held = False
        if not self._paused:
            self._transport.resume_reading()

    def close(self) -> None:
        """Close; once, because asyncio's TLS forgets a connection that is closed twice."""
        if not self._closing:
            self._closing = True
            self._transport.close()


class WatchedConnection(H11Protocol, Guest):
    """One connection.  A client that sends a head byte by byte is hung up on; an idle one too.

    Where there are too many, one makes room.  What one sent is looked at when its network has its turn.
    """

    bounds: Limits = Limits()
    known = KnownAddresses()
    share = FairShare()
    others: ClassVar[Crowd[WatchedConnection]] = Crowd(share.served_last)
    """Of the same listener, this one included."""

    is_unseen = True

    _arrived: socket.socket | None = None
    """The connection until there is a transport."""

    _place = Place("", "")

    _deadline: asyncio.TimerHandle | None = None
    _look: asyncio.TimerHandle | None = None
    _seen = (0, 0)
    _is_lost = False

    def arrive(self, connection: socket.socket) -> None:
        """Take a place among the others, before any handshake: who says nothing counts too."""
        self._arrived = connection
        self._place = _place_of(connection, self.known)
        self.others.add(self, self._place)
        if len(self.others) > self.bounds.connections:
            leaving = self.others.who_leaves() or self
            # Closing may take long where the client does not read; it counts no more from now on.
            self.others.remove(leaving)
            leaving._leave()

    def enter(self, admit: Callable[[], None]) -> None:
        """Have it let in when its network's turn has come."""

        def let_in() -> None:
            # Whoever is silent from now on waits for nobody.
            self.is_unseen = False
            admit()

        self.share.ask(self._place, let_in)

    @property
    def is_wanted(self) -> bool:
        """Whether it has not made room meanwhile."""
        return self in self.others

    def turn_away(self) -> None:
        """Give the place back: the handshake failed."""
        self._arrived = None
        self.others.remove(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Learn who it is, and wait for the first request."""
        self._arrived = None
        self.is_unseen = False
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
        """Take bytes in, to be looked at when their network's turn has come."""
        self.others.heard(self)
        self.is_unseen = True
        self._counted.hold()
        self.share.ask(self._place, lambda: self._look_at(data))

    def _look_at(self, data: bytes) -> None:
        """Act on what came in; while it is no whole head, the deadline runs on."""
        if self._is_lost or self._counted.is_closing():
            return
        self.is_unseen = False
        self._counted.let_go()
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadlines."""
        self._is_lost = True
        self.others.remove(self)
        self._forget_deadline()
        if self._look is not None:
            self._look.cancel()
        super().connection_lost(exc)

    @property
    def waits_for_its_answer(self) -> bool:
        """Whether its request is whole and its answer is not."""
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


def _place_of(connection: socket.socket, known: KnownAddresses) -> Place:
    """Return where the other end is."""
    try:
        name = connection.getpeername()
    except OSError:
        return Place("", "")
    address = str(name[0]) if isinstance(name, tuple) else ""
    return Place(address, address, True) if address in known else Place(network_of(address), address)


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
