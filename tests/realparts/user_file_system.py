# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file system in user space that tells what its tree says of itself, true or not (root and /dev/fuse).

It speaks the kernel's protocol (fuse(4), ``linux/fuse.h`` version 7.31) as far as reading a tree needs.
"""

from __future__ import annotations

import ctypes
import errno
import multiprocessing
import os
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.context import ForkProcess
from pathlib import Path

from papi_backup.engine.child_process import die_with_parent

_REQUEST = struct.Struct("=IIQQ16x")
_ANSWER = struct.Struct("=IiQ")
_ATTRIBUTES = struct.Struct("=6Q10I")
_MINOR, _MOST = 31, 1 << 16
_DETACH = 2
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(eq=False)
class Thing:
    """A file, or with ``children`` a directory, or with ``target`` a symbolic link.

    ``size`` is what it says of its content (None: the truth).  An attribute whose value is a number fails
    with that error; ``listing_fails`` is the error of asking for their names.
    """

    content: bytes = b""
    children: dict[bytes, Thing] | None = None
    target: bytes = b""
    inode: int = 0
    size: int | None = None
    links: int = 1
    attributes: dict[bytes, bytes | int] = field(default_factory=dict)
    listing_fails: int = 0
    mode: int = 0o640
    uid: int = 1000

    @property
    def format(self) -> int:
        """The bits of a mode that tell what it is."""
        if self.children is not None:
            return stat.S_IFDIR
        return stat.S_IFLNK if self.target else stat.S_IFREG


@contextmanager
def mounted(root: Thing, place: Path) -> Iterator[None]:
    """Mount a tree; what is open in it when it goes fails from then on."""
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions"
    if _LIBC.mount(b"odd", os.fsencode(place), b"fuse.odd", 6, options.encode()):
        os.close(device)
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), os.fspath(place))
    server: ForkProcess = multiprocessing.get_context("fork").Process(
        target=_serve, args=(os.getpid(), device, root), daemon=True
    )
    server.start()
    os.close(device)
    try:
        yield
    finally:
        _LIBC.umount2(os.fsencode(place), _DETACH)
        server.kill()
        server.join()


def _serve(parent: int, device: int, root: Thing) -> None:
    die_with_parent(parent)
    system = _System(root)
    while True:
        try:
            request = os.read(device, 1 << 20)
        except OSError as error:
            if error.errno == errno.ENOENT:
                continue  # a request that was given up
            return
        _length, operation, unique, node = _REQUEST.unpack_from(request)
        try:
            answer = system.answer(operation, node, request[_REQUEST.size :])
            failure = 0
        except OSError as error:
            answer, failure = b"", -(error.errno or errno.EIO)
        if answer is not None:
            os.write(device, _ANSWER.pack(_ANSWER.size + len(answer), failure, unique) + answer)


class _System:
    """Answers requests; the kernel knows things by the numbers that look-ups gave them."""

    def __init__(self, root: Thing) -> None:
        self._things = [root, root]
        self._numbers = {root: 1}
        self._operations: dict[int, Callable[[Thing, bytes], bytes]] = {
            1: self._look_up,
            3: lambda thing, _body: struct.pack("=QII", 0, 0, 0) + self._attributes(thing),
            5: lambda thing, _body: thing.target,
            14: lambda _thing, _body: struct.pack("=QII", 0, 1, 0),  # past the page cache: sizes may be wrong
            15: self._read,
            17: lambda _thing, _body: struct.pack("=5Q4I24x", 0, 0, 0, 0, 0, 4096, 255, 4096, 0),
            18: lambda _thing, _body: b"",
            22: self._attribute,
            23: self._names_of_attributes,
            25: lambda _thing, _body: b"",
            26: lambda _thing, _body: struct.pack(
                "=4I2H2I2H8I", 7, _MINOR, _MOST, 0, 9, 9, _MOST, 1, 0, 0, *[0] * 8
            ),
            27: lambda _thing, _body: struct.pack("=QII", 0, 0, 0),
            28: self._entries,
            29: lambda _thing, _body: b"",
        }

    def answer(self, operation: int, node: int, body: bytes) -> bytes | None:
        """Return the answer, None where none is expected.  Raises OSError for a failure that is one."""
        if operation in (2, 42):  # it forgets
            return None
        known = self._operations.get(operation)
        if known is None:
            raise OSError(errno.ENOSYS, "")
        return known(self._things[node if node < len(self._things) else 0], body)

    def _look_up(self, thing: Thing, body: bytes) -> bytes:
        found = (thing.children or {}).get(body.rstrip(b"\0"))
        if found is None:
            raise OSError(errno.ENOENT, "")
        if found not in self._numbers:
            self._numbers[found] = len(self._things)
            self._things.append(found)
        return struct.pack("=4Q2I", self._numbers[found], 0, 0, 0, 0, 0) + self._attributes(found)

    @staticmethod
    def _attributes(thing: Thing) -> bytes:
        size = len(thing.target or thing.content) if thing.size is None else thing.size
        mode = thing.format | (
            0o777 if thing.target else thing.mode | (0o111 if thing.children is not None else 0)
        )
        times = (1_600_000_000,) * 3
        blocks = (size + 511) // 512
        return _ATTRIBUTES.pack(
            thing.inode, size, blocks, *times, 0, 0, 0, mode, thing.links, thing.uid, thing.uid, 0, 4096, 0
        )

    @staticmethod
    def _read(thing: Thing, body: bytes) -> bytes:
        _handle, offset, size = struct.unpack_from("=QQI", body)
        return thing.content[offset : offset + size]

    @staticmethod
    def _entries(thing: Thing, body: bytes) -> bytes:
        _handle, offset, size = struct.unpack_from("=QQI", body)
        kinds = {stat.S_IFDIR: 4, stat.S_IFREG: 8, stat.S_IFLNK: 10}
        listed = b""
        children = list((thing.children or {}).items())
        for place, (name, child) in enumerate(children[offset:], offset + 1):
            # A number of 0 would be that of an entry which was deleted.
            entry = struct.pack("=QQII", child.inode or 1, place, len(name), kinds[child.format]) + name
            entry += bytes(-len(entry) % 8)
            if len(listed) + len(entry) > size:
                break
            listed += entry
        return listed

    @staticmethod
    def _attribute(thing: Thing, body: bytes) -> bytes:
        size, name = struct.unpack_from("=I", body)[0], body[8:].rstrip(b"\0")
        value = thing.attributes.get(name, errno.ENODATA)
        if isinstance(value, int):
            raise OSError(value, "")
        return _sized(value, size)

    @staticmethod
    def _names_of_attributes(thing: Thing, body: bytes) -> bytes:
        if thing.listing_fails:
            raise OSError(thing.listing_fails, "")
        return _sized(b"".join(name + b"\0" for name in thing.attributes), struct.unpack_from("=I", body)[0])


def _sized(value: bytes, size: int) -> bytes:
    """Answer how long a value is, or with it."""
    if size == 0:
        return struct.pack("=II", len(value), 0)
    if len(value) > size:
        raise OSError(errno.ERANGE, "")
    return value
