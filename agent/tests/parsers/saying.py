# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that say what they are told to, and hang up."""

from __future__ import annotations

import contextlib
import socket
import threading


class SayingChannel:
    """An SSH channel on which any bytes come."""

    def __init__(self, answers: bytes) -> None:
        self._answers = answers

    def send(self, data: memoryview) -> int:
        """Take all that is sent."""
        return len(data)

    def recv(self, size: int) -> bytes:
        """Return the next packet, or what there is where none is whole; nothing at the end."""
        length = min(size, 4 + int.from_bytes(self._answers[:4], "big"))
        part, self._answers = self._answers[:length], self._answers[length:]
        return part

    def recv_ready(self) -> bool:
        """Whether more is to come."""
        return bool(self._answers)


class SayingServer:
    """A server on a loopback port that answers each request with the same bytes, whatever it asks."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._answer = b""
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def says(self, answer: bytes) -> None:
        """Answer with these bytes from now on."""
        self._answer = answer

    def _serve(self) -> None:
        while True:
            connection, _peer = self._listener.accept()
            with connection, contextlib.suppress(OSError):
                self._take_request(connection)
                connection.sendall(self._answer)
                connection.shutdown(socket.SHUT_WR)

    def _take_request(self, connection: socket.socket) -> None:
        """Read a request whole, so that closing does not reset the connection."""
        connection.settimeout(5)
        request = b""
        while b"\r\n\r\n" not in request and (piece := connection.recv(1 << 16)):
            request += piece
        head, _end, body = request.partition(b"\r\n\r\n")
        _name, told, rest = head.lower().partition(b"content-length:")
        left = int(rest.split(b"\r\n")[0]) - len(body) if told else 0
        while left > 0 and (piece := connection.recv(1 << 16)):
            left -= len(piece)
