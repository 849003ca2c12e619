# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accepts connections, each known to its listener from its first moment on.

asyncio's own servers tell of a connection after the TLS handshake only, so whoever says nothing is not
counted; and where descriptors run out, they try again and log at once, without end.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable

log = logging.getLogger(__name__)

AT_ONCE = 512
"""How many connections are accepted before others have their turn in the event loop: so many that nobody
waits long behind strangers who only connect and hang up."""

PAUSE_SECONDS = 1.0
"""How long nothing is accepted after the system could not: some connections may end meanwhile."""


class Guest(asyncio.Protocol):
    """A connection as its listener knows it, from before there is a transport."""

    def arrive(self, connection: socket.socket) -> None:
        """Take a place among the others, or another's."""

    def enter(self, admit: Callable[[], None]) -> None:
        """Have it let in, now or when it is its turn."""
        admit()

    @property
    def is_wanted(self) -> bool:
        """Whether it has its place still."""
        return True

    def turn_away(self) -> None:
        """Give the place back: the handshake failed."""


class Door:
    """One listener's."""

    def __init__(
        self,
        listener: socket.socket,
        guest: Callable[[], Guest],
        tls: ssl.SSLContext | None,
        handshake_seconds: float,
    ) -> None:
        """Nothing is accepted yet; to be made in the event loop."""
        self._listener = listener
        self._guest = guest
        self._tls = tls
        self._handshake_seconds = handshake_seconds if tls else None
        self._waiting: dict[Guest, socket.socket] = {}
        """Who has come and was not let in yet."""

        self._entering: dict[asyncio.Task[object], socket.socket] = {}
        self._resuming: asyncio.TimerHandle | None = None
        self._failing = False
        self._loop = asyncio.get_running_loop()

    def open(self, backlog: int) -> None:
        """Listen and accept.  Raises :class:`OSError`."""
        self._listener.setblocking(False)
        self._listener.listen(backlog)
        self._loop.add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Accept no more, and hang up on whoever waits or is in the middle of a handshake."""
        self._loop.remove_reader(self._listener)
        if self._resuming is not None:
            self._resuming.cancel()
        while self._waiting:
            self._send_away(*self._waiting.popitem())
        for connection in self._entering.values():
            hang_up(connection)

    def _accept(self) -> None:
        accepted = 0
        while accepted < AT_ONCE:
            try:
                connection = self._listener.accept()[0]
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(error)
                return
            accepted += 1
            self._failing = False
            self._let_in(connection)

    def _let_in(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        if _has_left(connection):
            connection.close()
            return
        guest = self._guest()
        guest.arrive(connection)
        self._waiting[guest] = connection
        guest.enter(lambda: self._admit(guest))

    def _admit(self, guest: Guest) -> None:
        connection = self._waiting.pop(guest, None)
        if connection is None:
            return  # the door closed meanwhile
        if not guest.is_wanted:
            self._send_away(guest, connection)
            return
        task: asyncio.Task[object] = self._loop.create_task(
            self._loop.connect_accepted_socket(
                lambda: guest, connection, ssl=self._tls, ssl_handshake_timeout=self._handshake_seconds
            )
        )
        self._entering[task] = connection
        task.add_done_callback(lambda ended: self._entered(ended, guest))

    def _entered(self, task: asyncio.Task[object], guest: Guest) -> None:
        connection = self._entering.pop(task)
        if task.cancelled() or task.exception() is not None:
            # A client that knows no TLS, or not ours, or hung up.
            self._send_away(guest, connection)

    @staticmethod
    def _send_away(guest: Guest, connection: socket.socket) -> None:
        guest.turn_away()
        connection.close()

    def _pause(self, error: OSError) -> None:
        if not self._failing:
            self._failing = True
            log.error("cannot accept connections: %s; trying again every second", error.strerror)
        self._loop.remove_reader(self._listener)
        self._resuming = self._loop.call_later(
            PAUSE_SECONDS, self._loop.add_reader, self._listener, self._accept
        )


def _has_left(connection: socket.socket) -> bool:
    """Whether the other end hung up before it was let in, without a word."""
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except (BlockingIOError, InterruptedError):
        return False
    except OSError:
        return True


def hang_up(connection: socket.socket) -> None:
    """End a connection whose transport, if it has one, is not ours: that one sees its end, and closes."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it has ended by itself
