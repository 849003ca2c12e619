# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An SFTP server in memory that fails at the very request a test names.

Real servers prove that the client works; this one lets a test drop the connection before or after
each single request, fill the disk, or lie about sizes, which a real one does only by chance.
"""

from __future__ import annotations

import itertools
import posixpath
import stat
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

OK, EOF, NO_SUCH_FILE, PERMISSION_DENIED, FAILURE, UNSUPPORTED = 0, 1, 2, 3, 4, 8
EXTENSIONS = ("fsync@openssh.com", "statvfs@openssh.com", "limits@openssh.com")
NAMES = {
    3: "open",
    4: "close",
    5: "read",
    6: "write",
    7: "lstat",
    8: "fstat",
    11: "opendir",
    12: "readdir",
    13: "remove",
    14: "mkdir",
    15: "rmdir",
    17: "stat",
    18: "rename",
    200: "extended",
}


@dataclass(frozen=True)
class Trouble:
    """What happens at the ``number``-th request of a kind, or of any kind ("")."""

    number: int
    kind: str = ""
    status: int | None = None
    """Answered instead of doing it."""
    lose_request: bool = False
    lose_reply: bool = False


@dataclass
class MemorySftp:
    """Files and directories, and the troubles to come.  Paths are absolute."""

    troubles: list[Trouble] = field(default_factory=list)
    extensions: Sequence[str] = EXTENSIONS
    write_size: int = 4096
    free: int = 1 << 40
    tells_modes: bool = True
    most_read: int = 1 << 20
    shrink: int = 0
    """How many bytes a file loses, without a word, when it is closed after writing."""
    files: dict[str, bytearray] = field(default_factory=dict)
    directories: set[str] = field(default_factory=lambda: {"/", "/srv", "/srv/base"})
    requests: list[str] = field(default_factory=list)

    def channel(self) -> MemoryChannel:
        """Return a new connection."""
        return MemoryChannel(self)

    def trouble_at(self, kind: str) -> Trouble | None:
        """Count a request; return what the script has for it."""
        self.requests.append(kind)
        for trouble in self.troubles:
            count = self.requests.count(trouble.kind) if trouble.kind else len(self.requests)
            if trouble.kind in {"", kind} and count == trouble.number:
                return trouble
        return None


class StatusError(Exception):
    """A request is answered with a status."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class MemoryChannel:
    """One connection, with the methods of an SSH channel that the client uses."""

    def __init__(self, server: MemorySftp) -> None:
        self._server = server
        self._inbox = bytearray()
        self._outbox = bytearray()
        self._handles: dict[bytes, tuple[str, list[str]]] = {}
        self._numbers = itertools.count()
        self._written: set[str] = set()
        self.broken = False

    def send(self, data: memoryview) -> int:
        """Take bytes; every whole request is carried out at once."""
        if self.broken:
            return 0
        self._inbox += data
        while len(self._inbox) >= 4:
            (length,) = struct.unpack(">I", self._inbox[:4])
            if len(self._inbox) < 4 + length:
                break
            packet = bytes(self._inbox[4 : 4 + length])
            del self._inbox[: 4 + length]
            self._take(packet[0], packet[1:])
        return len(data)

    def recv(self, size: int) -> bytes:
        """Return answers; a client that waits for what will never come gets a timeout."""
        if not self._outbox and not self.broken:
            raise TimeoutError("nothing will ever come")
        data = bytes(self._outbox[:size])
        del self._outbox[:size]
        return data

    def recv_ready(self) -> bool:
        """Whether there is something to receive."""
        return bool(self._outbox)

    def _take(self, kind: int, body: bytes) -> None:
        if kind == 1:
            names = b"".join(_string(name.encode()) + _string(b"1") for name in self._server.extensions)
            self._reply(2, struct.pack(">I", 3) + names)
            return
        if self.broken:
            return
        request, rest = body[:4], body[4:]
        trouble = self._server.trouble_at(NAMES[kind])
        if trouble and trouble.lose_request:
            self._break()
            return
        try:
            if trouble and trouble.status is not None:
                raise StatusError(trouble.status)
            answer, content = self._do(NAMES[kind], _Fields(rest))
        except StatusError as error:
            answer, content = 101, struct.pack(">I", error.code) + _string(b"told so") + _string(b"")
        if trouble and trouble.lose_reply:
            self._break()
            return
        self._reply(answer, request + content)

    def _break(self) -> None:
        self.broken = True
        self._outbox.clear()

    def _reply(self, kind: int, content: bytes) -> None:
        self._outbox += struct.pack(">IB", len(content) + 1, kind) + content

    def _do(self, kind: str, fields: _Fields) -> tuple[int, bytes]:
        """Carry out one request; return the answer's kind and content."""
        handler: Callable[[_Fields], tuple[int, bytes]] = getattr(self, f"_{kind}")
        return handler(fields)

    def _open(self, fields: _Fields) -> tuple[int, bytes]:
        path, flags = fields.path(), fields.uint32()
        if path not in self._server.files:
            if not flags & 8 or posixpath.dirname(path) not in self._server.directories:
                raise StatusError(NO_SUCH_FILE)
            self._server.files[path] = bytearray()
        return self._handle(path, [])

    def _handle(self, path: str, entries: list[str]) -> tuple[int, bytes]:
        handle = struct.pack(">I", next(self._numbers))
        self._handles[handle] = (path, entries)
        return 102, _string(handle)

    def _close(self, fields: _Fields) -> tuple[int, bytes]:
        path = self._handles.pop(fields.string())[0]
        if self._server.shrink and path in self._written:
            del self._server.files[path][-self._server.shrink :]
        raise StatusError(OK)

    def _read(self, fields: _Fields) -> tuple[int, bytes]:
        path, offset, size = self._handles[fields.string()][0], fields.uint64(), fields.uint32()
        data = bytes(self._server.files[path][offset : offset + min(size, self._server.most_read)])
        if not data:
            raise StatusError(EOF)
        return 103, _string(data)

    def _write(self, fields: _Fields) -> tuple[int, bytes]:
        path, offset, data = self._handles[fields.string()][0], fields.uint64(), fields.string()
        file = self._server.files[path]
        if len(data) > self._server.free:
            raise StatusError(FAILURE)
        file.extend(bytes(max(0, offset - len(file))))
        file[offset : offset + len(data)] = data
        self._written.add(path)
        raise StatusError(OK)

    def _lstat(self, fields: _Fields) -> tuple[int, bytes]:
        return 105, self._attributes(fields.path())

    _stat = _lstat

    def _fstat(self, fields: _Fields) -> tuple[int, bytes]:
        return 105, self._attributes(self._handles[fields.string()][0])

    def _attributes(self, path: str, told: bool = True) -> bytes:
        if path in self._server.directories:
            mode, size = stat.S_IFDIR | 0o755, 0
        elif path in self._server.files:
            mode, size = stat.S_IFREG | 0o644, len(self._server.files[path])
        else:
            raise StatusError(NO_SUCH_FILE)
        if not told:
            return struct.pack(">IQ", 1, size)
        return struct.pack(">IQIII", 1 | 4 | 8, size, mode, 1_700_000_000, 1_700_000_000)

    def _opendir(self, fields: _Fields) -> tuple[int, bytes]:
        path = fields.path()
        if path not in self._server.directories:
            raise StatusError(NO_SUCH_FILE)
        there = (*self._server.files, *self._server.directories - {"/"})
        return self._handle(path, [name for name in there if posixpath.dirname(name) == path])

    def _readdir(self, fields: _Fields) -> tuple[int, bytes]:
        entries = self._handles[fields.string()][1]
        if not entries:
            raise StatusError(EOF)
        taken = [entries.pop() for unused in entries[:2]]
        names = b"".join(
            _string(posixpath.basename(path).encode())
            + _string(b"")
            + self._attributes(path, self._server.tells_modes)
            for path in taken
        )
        return 104, struct.pack(">I", len(taken)) + names

    def _remove(self, fields: _Fields) -> tuple[int, bytes]:
        if self._server.files.pop(fields.path(), None) is None:
            raise StatusError(NO_SUCH_FILE)
        raise StatusError(OK)

    def _mkdir(self, fields: _Fields) -> tuple[int, bytes]:
        path = fields.path()
        if posixpath.dirname(path) not in self._server.directories:
            raise StatusError(NO_SUCH_FILE)
        if path in self._server.directories or path in self._server.files:
            raise StatusError(FAILURE)
        self._server.directories.add(path)
        raise StatusError(OK)

    def _rmdir(self, fields: _Fields) -> tuple[int, bytes]:
        path = fields.path()
        there = (*self._server.files, *self._server.directories)
        if any(posixpath.dirname(name) == path for name in there):
            raise StatusError(FAILURE)
        if path not in self._server.directories:
            raise StatusError(NO_SUCH_FILE)
        self._server.directories.remove(path)
        raise StatusError(OK)

    def _rename(self, fields: _Fields) -> tuple[int, bytes]:
        old, new = fields.path(), fields.path()
        if old not in self._server.files or posixpath.dirname(new) not in self._server.directories:
            raise StatusError(NO_SUCH_FILE)
        if new in self._server.files:
            raise StatusError(FAILURE)
        self._server.files[new] = self._server.files.pop(old)
        raise StatusError(OK)

    def _extended(self, fields: _Fields) -> tuple[int, bytes]:
        name = fields.string().decode()
        if name not in self._server.extensions:
            raise StatusError(UNSUPPORTED)
        if name == "statvfs@openssh.com":
            return 201, struct.pack(">11Q", 1, 1, 1 << 40, 0, self._server.free, 0, 0, 0, 0, 0, 255)
        if name == "limits@openssh.com":
            return 201, struct.pack(">4Q", 1 << 18, 4096, self._server.write_size, 0)
        raise StatusError(OK)


class _Fields:
    """The fields of a request, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def uint32(self) -> int:
        return int.from_bytes(self._take(4), "big")

    def uint64(self) -> int:
        return int.from_bytes(self._take(8), "big")

    def string(self) -> bytes:
        return self._take(self.uint32())

    def path(self) -> str:
        return self.string().decode()

    def _take(self, size: int) -> bytes:
        part, self._data = self._data[:size], self._data[size:]
        return part


def _string(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value
