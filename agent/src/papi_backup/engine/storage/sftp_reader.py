# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a range of a file from an SFTP server with several requests in flight, but not too many."""

from __future__ import annotations

from papi_backup.engine.storage.sftp_session import SftpSession
from papi_backup.engine.storage.sftp_wire import OPEN_READ, Packet, Reader, SftpStatusError, Status

READ_AHEAD = 4 << 20
"""Most bytes that are asked for and not there yet."""


def read_range(session: SftpSession, path: bytes, offset: int, length: int | None) -> bytes:
    """Return ``length`` bytes of ``path`` from ``offset`` (to the end when None); fewer at its end.

    Raises ``SftpStatusError`` for what the server refuses.
    """
    handle = session.open(path, OPEN_READ)
    try:
        if not length:  # no READ would tell that it is a directory, which opens like a file
            attributes = session.stat_handle(handle)
            if attributes.is_directory:
                raise SftpStatusError(Status.NO_SUCH_FILE, "a directory")
            length = max(0, (attributes.size or 0) - offset) if length is None else 0
        return _Download(session, handle, offset, offset + length).run()
    finally:
        if not session.is_broken:
            session.send_close(handle)


class _Download:
    """The requests and answers of one range."""

    def __init__(self, session: SftpSession, handle: bytes, start: int, end: int) -> None:
        self._session = session
        self._handle = handle
        self._start = start
        self._end = end  # moves down when the file turns out to end earlier
        self._next = start
        self._asked = 0
        self._parts: dict[int, bytes] = {}
        self._refusal: SftpStatusError | None = None

    def run(self) -> bytes:
        """Return the bytes of the range."""
        while True:
            while self._next < self._end and self._asked < READ_AHEAD and self._refusal is None:
                size = min(self._session.read_size, self._end - self._next)
                self._ask(self._next, size)
                self._next += size
            if not self._asked:
                break
            self._session.wait_for_answer()
        if self._refusal is not None:
            raise self._refusal
        return b"".join(self._parts[offset] for offset in sorted(self._parts))

    def _ask(self, offset: int, size: int) -> None:
        def on_answer(kind: int, body: Reader) -> None:
            self._asked -= size
            if kind != Packet.DATA:
                self._take_status(offset, body.status())
                return
            data = body.string()
            self._parts[offset] = data
            if 0 < len(data) < size:  # a server may give less than asked; only EOF is the end
                self._ask(offset + len(data), size - len(data))

        self._asked += size
        self._session.send_read(self._handle, offset, size, on_answer)

    def _take_status(self, offset: int, status: SftpStatusError) -> None:
        if status.code == Status.EOF:
            self._end = min(self._end, max(self._start, offset))
        else:
            self._refusal = self._refusal or status
