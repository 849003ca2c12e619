# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One entry of the file list, and the names that are allowed in it (docs/format.md, "leaf: files")."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from papi_backup.engine.format import FormatError
from papi_backup.engine.format.references import Item, PageRef, VolumeRange

FILE, DIRECTORY, SYMLINK, FIFO, CHARACTER, BLOCK = "f", "d", "l", "p", "c", "b"
TYPES = frozenset("fdlpcb")
MOST_ITEMS = 64
"""A content list longer than this goes to item pages."""
ANCESTOR = "ancestor"
"""Flag: a directory above the sources, restored only where it does not exist."""
CHANGED_WHILE_READ = "changed"
"""Flag: the file changed while it was read, twice."""
LARGEST_MODE = 0o7777
LARGEST_OWNER = (1 << 32) - 2
"""The kernel's own bound: the next number means "leave it as it is"."""
LARGEST_INODE = (1 << 64) - 1
LARGEST_DEVICE = (1 << 32) - 1
LARGEST_TIME = (1 << 63) * 1_000_000_000 - 1
SMALLEST_TIME = -(1 << 63) * 1_000_000_000
"""Nanoseconds: as many as the seconds of a 64-bit time have; years after 2262 need more than 63 bits."""


class Owner(NamedTuple):
    """Numbers and, where the system knew them, names (empty otherwise)."""

    uid: int
    gid: int
    user: str
    group: str


@dataclass(slots=True)
class Entry:
    """A file of one date.  ``path`` is relative to ``/``, bytes, without leading slash; ``b""`` is ``/``.

    ``mode`` holds the permission bits (07777); times are nanoseconds; ``size`` is 0 but for files.
    ``item_volumes`` enclose every volume that reading ``item_pages`` and their items needs.
    """

    path: bytes
    type: str
    mode: int
    owner: Owner
    mtime_ns: int
    ctime_ns: int
    inode: int
    size: int = 0
    items: list[Item] = field(default_factory=list)
    item_pages: PageRef | None = None
    item_volumes: tuple[VolumeRange, ...] = ()
    link_target: bytes = b""
    link_group: str = ""
    device: tuple[int, int] | None = None
    xattrs: dict[bytes, bytes] = field(default_factory=dict)
    flags: tuple[str, ...] = ()

    @property
    def links(self) -> str:
        """What all names of one file have in common; "" for a file with one name.

        The link group alone is not enough: kept pages may stem from days when a device had another number.
        """
        if not self.link_group:
            return ""
        return f"{self.link_group} {self.inode} {self.size} {self.mtime_ns} {self.ctime_ns}"


_NO_NAMES = frozenset((b"", b".", b".."))


def walk_key(path: bytes) -> bytes:
    """Return a key whose byte order is the depth-first walk's order (``a/b`` before ``a-b``)."""
    return path.replace(b"/", b"\0")


def to_text(name: bytes) -> str:
    """Return bytes as JSON-safe text: UTF-8, other bytes as lone surrogates U+DC80..U+DCFF."""
    return name.decode("utf-8", "surrogateescape")


def to_bytes(text: str) -> bytes:
    """Undo :func:`to_text`.  Raises FormatError for text with other surrogates than it makes."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise FormatError("a name holds characters that no file name can have") from None


def paths_to_bytes(texts: list[str]) -> list[bytes]:
    """Return what :func:`to_bytes` makes of each, at once.  Raises FormatError, also for a zero byte."""
    if not texts:
        return []
    paths = to_bytes("\0".join(texts)).split(b"\0")
    if len(paths) != len(texts):
        raise FormatError("a name holds a zero byte")
    return paths


def walk_keys(paths: list[bytes]) -> list[bytes]:
    """Return what :func:`walk_key` makes of each path, at once."""
    return [path.replace(b"/", b"\0") for path in paths]


def check_name(name: bytes) -> None:
    """Refuse what cannot be one component of a path.  Raises FormatError."""
    if name in _NO_NAMES or b"/" in name or b"\0" in name:
        raise FormatError(f"the name {name!r} is not allowed in a file list")


def check_names(names: list[bytes]) -> None:
    """Do what :func:`check_name` does, for all at once; zero bytes were refused before."""
    if b"/" in b"".join(names) or not _NO_NAMES.isdisjoint(names):
        raise FormatError("a name in a file list is empty, '.', '..' or holds a slash")


def check_path(path: bytes) -> None:
    """Refuse a path that could leave a restore's target.  Raises FormatError."""
    if path:
        for component in path.split(b"/"):
            check_name(component)
