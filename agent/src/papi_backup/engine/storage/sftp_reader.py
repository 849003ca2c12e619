# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads ranges of files from an SFTP server with several requests in flight, but not too many.

Ranges follow one another without a pause: while the last answers of one are on their way, the next is
asked for already.  Files stay open for the next range of them; objects never change.
"""

from __future__ import annotations

import functools
from collections import OrderedDict, deque
from collections.abc import Callable

from papi_backup.engine.storage.bounds import LARGEST_WHOLE, refuse_excess
from papi_backup.engine.storage.sftp_session import SftpSession
from papi_backup.engine.storage.sftp_wire import (
    OPEN_READ,
    MalformedPacketError,
    Packet,
    Reader,
    SftpStatusError,
    Status,
)

READ_AHEAD = 4 << 20
"""Most bytes that are asked for and not there yet."""
_SPARE_ANSWERS, _SMALLEST_ANSWER = 64, 1024
"""So many answers to one range may be smaller than so many bytes: each costs memory besides its bytes."""
_KEPT_OPEN = 16
"""Files kept open when no range of them is wanted; OpenSSH allows a session at least 100."""


def read_range(session: SftpSession, path: bytes, offset: int, length: int | None) -> bytes:
    """Return ``length`` bytes of ``path`` from ``offset`` (to the end when None); fewer at its end.

    Raises ``SftpStatusError`` for what the server refuses, and :class:`TransferError` for a file that is
    larger than what is read without a length.
    """
    if length:
        reads = ReadAhead(session)
        try:
            return reads.begin(path, offset, offset + length).result()
        finally:
            reads.close()
    handle = session.open(path, OPEN_READ)
    try:  # no READ would tell that it is a directory, which opens like a file
        attributes = session.stat_handle(handle)
        if attributes.is_directory:
            raise SftpStatusError(Status.NO_SUCH_FILE, "a directory")
    finally:
        if not session.is_broken:
            session.send_close(handle)
    if length == 0 or not attributes.size or attributes.size <= offset:
        return b""
    refuse_excess(attributes.size - offset, LARGEST_WHOLE, f"reading {path.decode(errors='replace')}")
    return read_range(session, path, offset, attributes.size - offset)


class ReadAhead:
    """The ranges that are being read on one session."""

    def __init__(self, session: SftpSession) -> None:
        self.session = session
        self._files: OrderedDict[bytes, _File] = OrderedDict()
        self._wanted: deque[Range] = deque()
        self._asked = 0

    def begin(self, path: bytes, start: int, end: int) -> Range:
        """Begin to read a range; raises :class:`ConnectionLostError`."""
        file = self._files.get(path)
        if file is None:
            file = self._files[path] = _File()
            self.session.send_open(path, functools.partial(self._on_open, path, file))
        self._files.move_to_end(path)
        wanted = Range(self.session, file, start, end, self._answered)
        file.ranges += 1
        self._wanted.append(wanted)
        self._ask()
        self._close_idle()
        return wanted

    def close(self) -> None:
        """Close what is open; never raises."""
        if not self.session.is_broken:
            self._close_idle(0)

    def _on_open(self, path: bytes, file: _File, kind: int, body: Reader) -> None:
        if kind == Packet.HANDLE:
            file.handle = body.string()
        else:
            file.refusal = body.status()
            self._files.pop(path, None)
        self._ask()

    def _answered(self, size: int) -> None:
        self._asked -= size
        self._ask()

    def _ask(self) -> None:
        """Ask for as much as may be on its way, the earliest range first."""
        while self._wanted and self._asked < READ_AHEAD:
            first = self._wanted[0]
            if first.file.handle is None and first.file.refusal is None:
                return
            size = first.ask()
            self._asked += size
            if not size:
                self._wanted.popleft()

    def _close_idle(self, kept: int = _KEPT_OPEN) -> None:
        for path, file in list(self._files.items())[: max(0, len(self._files) - kept)]:
            if file.handle is not None and not file.ranges:
                self.session.send_close(file.handle)
                del self._files[path]


class _File:
    """A file that is open or about to be; ``ranges`` counts those that are not all there."""

    def __init__(self) -> None:
        self.handle: bytes | None = None
        self.refusal: SftpStatusError | None = None
        self.ranges = 0


class Range:
    """The requests and answers of one range."""

    def __init__(
        self, session: SftpSession, file: _File, start: int, end: int, answered: Callable[[int], None]
    ) -> None:
        self.file = file
        self._session = session
        self._start = start
        self._end = end  # moves down when the file turns out to end earlier
        self._answered = answered
        self._next = start
        self._asked = 0
        self._parts: dict[int, bytes | memoryview] = {}
        self._most_parts = _SPARE_ANSWERS + (end - start) // min(_SMALLEST_ANSWER, session.read_size)
        self._refusal: SftpStatusError | None = None

    def result(self) -> bytes:
        """Wait for the bytes; raises ``SftpStatusError`` and :class:`ConnectionLostError`."""
        while not self._is_whole:
            self._session.wait_for_answer()
        refusal = self._refusal or self.file.refusal
        if refusal is not None:
            raise refusal
        whole = b"".join(self._parts[offset] for offset in sorted(self._parts))
        self._parts = {self._start: whole}  # not twice in memory
        return whole

    def ask(self) -> int:
        """Send the next request; return how many bytes it asks for, 0 when there is nothing to ask."""
        if self._is_over or self.file.handle is None:
            return 0
        size = min(self._session.read_size, self._end - self._next)
        self._next += size
        self._send(self.file.handle, self._next - size, size)
        return size

    @property
    def _is_over(self) -> bool:
        return self._next >= self._end or self._refusal is not None or self.file.refusal is not None

    @property
    def _is_whole(self) -> bool:
        return self._is_over and not self._asked

    def _send(self, handle: bytes, offset: int, size: int) -> None:
        def on_answer(kind: int, body: Reader) -> None:
            self._asked -= size
            left = 0
            if kind == Packet.DATA:
                data: bytes | memoryview = body.view()
                self._refuse_wrong_sizes(len(data), size)
                if not body.at_end:
                    data = bytes(data)  # what stands behind it must not be kept with it
                self._parts[offset] = data
                left = size - len(data) if data else 0
                if left:  # a server may give less than asked; only EOF is the end
                    self._send(handle, offset + len(data), left)
            else:
                self._take_status(offset, body.status())
            if self._is_whole:
                self.file.ranges -= 1
            self._answered(size - left)

        self._asked += size
        self._session.send_read(handle, offset, size, on_answer)

    def _refuse_wrong_sizes(self, there: int, asked: int) -> None:
        """Break the connection with a server that sends more than was asked for, or crumbs."""
        if there > asked:
            raise MalformedPacketError(f"the server sent {there} bytes where {asked} were asked for")
        if len(self._parts) >= self._most_parts:
            raise MalformedPacketError("the server sends its answers a few bytes each")

    def _take_status(self, offset: int, status: SftpStatusError) -> None:
        if status.code == Status.EOF:
            self._end = min(self._end, max(self._start, offset))
        else:
            self._refusal = self._refusal or status
