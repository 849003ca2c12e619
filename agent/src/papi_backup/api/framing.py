# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""h11's reading of a connection, with what it lacks: no request of two lengths, and no costly small pieces.

A proxy and the agent that disagree on where a request ends take the rest for a request of somebody else.  And
h11 spends much of a core on each of ten thousand header lines or on each of as many chunks of one byte.
"""

from __future__ import annotations

import re
from typing import Any

import h11

HEAD_BYTES = 64 << 10
HEADER_LINES = 200
_FREE_CHUNKS = 64
_BYTES_A_CHUNK = 256
"""A body may have so many chunks, and one more for each so many bytes.  How often a client writes a body of a
known length costs others little: what has come in meanwhile is one piece."""

_CHUNK_HEAD = re.compile(rb"([0-9A-Fa-f]{1,8})[^\r\n]{0,64}\r\n")
_CRUMBS = "a body in very small pieces"


class StrictConnection(h11.Connection):
    """The server's side of a connection; :meth:`next_event` raises :class:`h11.RemoteProtocolError`."""

    def __init__(self) -> None:
        """Nothing has been received yet."""
        super().__init__(h11.SERVER, HEAD_BYTES)
        self._is_chunked = False
        self._pieces = 0
        self._bytes = 0

    def next_event(self) -> Any:
        """Return what came in next, as h11 does; what has two lengths or too many pieces is an error."""
        if self.their_state is h11.IDLE:
            self._refuse_many_lines()
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._pieces = self._bytes = 0
            _refuse_two_lengths(event)
            self._is_chunked = any(name.lower() == b"transfer-encoding" for name, value in event.headers)
            if self._is_chunked:
                _refuse_crumbs_ahead(self.trailing_data[0])
        elif isinstance(event, h11.Data) and self._is_chunked:
            self._refuse_crumbs(len(event.data))
        return event

    def _refuse_many_lines(self) -> None:
        received = self.trailing_data[0]
        end = received.find(b"\r\n\r\n")
        if received.count(b"\n", 0, end if end >= 0 else len(received)) > HEADER_LINES:
            raise h11.RemoteProtocolError("more header lines than any client sends", error_status_hint=431)

    def _refuse_crumbs(self, size: int) -> None:
        self._pieces += 1
        self._bytes += size
        if _are_crumbs(self._pieces, self._bytes):
            raise h11.RemoteProtocolError(_CRUMBS)


def _are_crumbs(pieces: int, size: int) -> bool:
    return pieces > _FREE_CHUNKS + size // _BYTES_A_CHUNK


def _refuse_crumbs_ahead(body: bytes) -> None:
    """Refuse what the beginning of a body shows already: h11 takes fifty times as long to come to it.

    What is no chunk at all is left to h11.
    """
    pieces = size = at = 0
    while match := _CHUNK_HEAD.match(body, at):
        length = int(match[1], 16)
        pieces, size, at = pieces + 1, size + length, match.end() + length + 2
        if _are_crumbs(pieces, size):
            raise h11.RemoteProtocolError(_CRUMBS)


def _refuse_two_lengths(request: h11.Request) -> None:
    """Refuse two framings of one body; h11 itself refuses lengths that differ, and unknown codings."""
    names = {name.lower() for name, value in request.headers}
    if b"transfer-encoding" in names and (b"content-length" in names or request.http_version < b"1.1"):
        raise h11.RemoteProtocolError("Content-Length and Transfer-Encoding, or an encoding in HTTP/1.0")
