# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SFTP version 3 packets: bytes to values and back (draft-ietf-secsh-filexfer-02).  No I/O.

paramiko's own SFTP client cannot send ``fsync@openssh.com``, throws away the server's extension
list, splits every write into two packets and reads without bounds; its channel is sound, so only
that is used and the few packets a storage needs are made here.
"""

from __future__ import annotations

import stat
import struct
from dataclasses import dataclass
from enum import IntEnum


class Packet(IntEnum):
    """Packet types this client sends or understands."""

    INIT = 1
    VERSION = 2
    OPEN = 3
    CLOSE = 4
    READ = 5
    WRITE = 6
    LSTAT = 7
    FSTAT = 8
    OPENDIR = 11
    READDIR = 12
    REMOVE = 13
    MKDIR = 14
    RMDIR = 15
    STAT = 17
    RENAME = 18
    STATUS = 101
    HANDLE = 102
    DATA = 103
    NAME = 104
    ATTRS = 105
    EXTENDED = 200
    EXTENDED_REPLY = 201


class Status(IntEnum):
    """Status codes of version 3."""

    OK = 0
    EOF = 1
    NO_SUCH_FILE = 2
    PERMISSION_DENIED = 3
    FAILURE = 4
    BAD_MESSAGE = 5
    NO_CONNECTION = 6
    CONNECTION_LOST = 7
    OP_UNSUPPORTED = 8


LARGEST_PACKET = 1 << 22
"""Most bytes of a packet that is believed, its length included; OpenSSH sends 256 KiB at most."""
OPEN_READ = 0x01
OPEN_WRITE = 0x02
OPEN_CREATE = 0x08

_HAS_SIZE = 0x01
_HAS_OWNER = 0x02
_HAS_PERMISSIONS = 0x04
_HAS_TIMES = 0x08
_HAS_EXTENDED = 0x80000000

NO_ATTRIBUTES = struct.pack(">I", 0)
PRIVATE_FILE = struct.pack(">II", _HAS_PERMISSIONS, 0o600)
PRIVATE_DIRECTORY = struct.pack(">II", _HAS_PERMISSIONS, 0o700)
"""Attributes of what is made on a server: its other users have no business with backups."""
_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")


class ConnectionLostError(Exception):
    """The connection broke, or nothing came for too long; what was asked may or may not be done."""


class MalformedPacketError(ConnectionLostError):
    """The server sent something that is not SFTP version 3."""


class SftpStatusError(Exception):
    """The server answered a request with a status other than OK."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{text or 'no message'} (SFTP status {code})")
        self.code = code


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a server tells of a file; None where it says nothing.  Size in bytes, time in seconds."""

    size: int | None
    mode: int | None
    modified: int | None

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return self.mode is not None and stat.S_ISDIR(self.mode)

    @property
    def is_regular(self) -> bool:
        """Whether it is a plain file (true where a server tells no mode)."""
        return self.mode is None or stat.S_ISREG(self.mode)


@dataclass(frozen=True, slots=True)
class Space:
    """A file system's free room in bytes, for the user who asks."""

    available: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What the server takes in one request, in bytes (``limits@openssh.com``)."""

    read: int
    write: int


def string(value: bytes) -> bytes:
    """Encode a length-prefixed string."""
    return _U32.pack(len(value)) + value


def uint32(value: int) -> bytes:
    """Encode a 32-bit number."""
    return _U32.pack(value)


def uint64(value: int) -> bytes:
    """Encode a 64-bit number."""
    return _U64.pack(value)


def write_header(request: int, handle: bytes, offset: int, size: int) -> bytes:
    """Return everything of a WRITE packet that stands before its ``size`` data bytes."""
    length = 1 + 4 + 4 + len(handle) + 8 + 4 + size
    return b"".join(
        (
            _U32.pack(length),
            bytes([Packet.WRITE]),
            _U32.pack(request),
            string(handle),
            _U64.pack(offset),
            _U32.pack(size),
        )
    )


class Reader:
    """Takes a packet's fields apart; raises :class:`MalformedPacketError` at its end."""

    def __init__(self, data: bytes, position: int = 0) -> None:
        self._data = data
        self._position = position

    @property
    def at_end(self) -> bool:
        """Whether all fields have been read."""
        return self._position >= len(self._data)

    def uint32(self) -> int:
        """Return the next 32-bit number."""
        return int(_U32.unpack(self._take(4))[0])

    def uint64(self) -> int:
        """Return the next 64-bit number."""
        return int(_U64.unpack(self._take(8))[0])

    def string(self) -> bytes:
        """Return the next length-prefixed string."""
        return self._take(self.uint32())

    def view(self) -> memoryview:
        """Return the next length-prefixed string where it lies."""
        size = self.uint32()
        start = self._position
        if start + size > len(self._data):
            raise MalformedPacketError("a packet ends early")
        self._position = start + size
        return memoryview(self._data)[start : start + size]

    def attributes(self) -> Attributes:
        """Return the next ATTRS structure."""
        flags = self.uint32()
        size = self.uint64() if flags & _HAS_SIZE else None
        if flags & _HAS_OWNER:
            self._take(8)
        mode = self.uint32() if flags & _HAS_PERMISSIONS else None
        modified = None
        if flags & _HAS_TIMES:
            self._take(4)
            modified = self.uint32()
        if flags & _HAS_EXTENDED:
            pairs = self.uint32()
            while pairs:
                self.string()
                self.string()
                pairs -= 1
        return Attributes(size, mode, modified)

    def status(self) -> SftpStatusError:
        """Return the body of a STATUS packet (also of one that says OK)."""
        code = self.uint32()
        text = "" if self.at_end else self.string().decode("utf-8", "replace")
        return SftpStatusError(code, text)

    def names(self) -> list[tuple[str, Attributes]]:
        """Return the body of a NAME packet without ``.`` and ``..``."""
        found = []
        count = self.uint32()
        while count:
            count -= 1
            name = self.string().decode("utf-8", "surrogateescape")
            self.string()  # the longname is for people
            attributes = self.attributes()
            if name not in {".", ".."}:
                found.append((name, attributes))
        return found

    def space(self) -> Space:
        """Return the body of a ``statvfs@openssh.com`` reply."""
        self.uint64()  # f_bsize
        fragment = self.uint64()
        self._take(16)  # f_blocks, f_bfree
        return Space(fragment * self.uint64())

    def limits(self) -> Limits:
        """Return the body of a ``limits@openssh.com`` reply."""
        self.uint64()  # the largest packet
        return Limits(read=self.uint64(), write=self.uint64())

    def _take(self, size: int) -> bytes:
        end = self._position + size
        if end > len(self._data):
            raise MalformedPacketError("a packet ends early")
        part = self._data[self._position : end]
        self._position = end
        return part
