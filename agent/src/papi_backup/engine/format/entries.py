# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One entry of the file list, and the names that are allowed in it (docs/format.md, "Entries")."""

from __future__ import annotations

from dataclasses import dataclass, field

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


@dataclass(frozen=True, slots=True)
class Owner:
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


def walk_key(path: bytes) -> bytes:
    """Return a key whose byte order is the depth-first walk's order (``a/b`` before ``a-b``)."""
    return path.replace(b"/", b"\0")


def to_text(name: bytes) -> str:
    """Return bytes as JSON-safe text: UTF-8, other bytes as lone surrogates U+DC80..U+DCFF."""
    return name.decode("utf-8", "surrogateescape")


def to_bytes(text: str) -> bytes:
    """Undo :func:`to_text`.  Raises FormatError for text it would not have made."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise FormatError("a name holds characters that no file name can have") from None


def check_path(path: bytes) -> None:
    """Refuse a path that could leave a restore's target.  Raises FormatError."""
    if not path:
        return
    for component in path.split(b"/"):
        if component in (b"", b".", b"..") or b"\0" in component:
            raise FormatError(f"the path {path!r} is not allowed in a file list")
