# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one tree holds: an entry for each name, as bytes, relative to the tree's root."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field

ROOT_NAME = b"."
_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
}


@dataclass(frozen=True)
class Entry:
    """One name.  ``xattrs`` is None where the file system keeps none; ``mtime_ns`` is nanoseconds."""

    kind: str
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    size: int
    device: int
    target: bytes
    inode: tuple[int, int]
    links: int
    xattrs: dict[str, bytes] | None

    @property
    def is_device(self) -> bool:
        """Whether making it needs root."""
        return self.kind.endswith("device")


@dataclass
class Tree:
    """A tree as it was read; ``leaders`` maps each hard-linked name to the first name of its group."""

    root: bytes
    entries: dict[bytes, Entry] = field(default_factory=dict)
    leaders: dict[bytes, bytes] = field(default_factory=dict)
    unreadable: list[bytes] = field(default_factory=list)

    def path(self, name: bytes) -> bytes:
        """Return where the entry ``name`` lies."""
        return self.root if name == ROOT_NAME else os.path.join(self.root, name)


def read_tree(root: str) -> Tree:
    """Read everything but the contents.  Raises OSError when ``root`` itself cannot be read."""
    tree = Tree(os.fsencode(root))
    pending = [ROOT_NAME]
    while pending:
        name = pending.pop()
        entry = _read_entry(tree.path(name))
        tree.entries[name] = entry
        if entry.kind == "directory":
            pending.extend(_names_in(tree, name))
    _find_leaders(tree)
    return tree


def _names_in(tree: Tree, name: bytes) -> list[bytes]:
    try:
        found = os.listdir(tree.path(name))
    except PermissionError:
        tree.unreadable.append(name)
        return []
    return found if name == ROOT_NAME else [os.path.join(name, one) for one in found]


def _read_entry(path: bytes) -> Entry:
    status = os.lstat(path)
    kind = _KINDS.get(stat.S_IFMT(status.st_mode), "unknown")
    return Entry(
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        mtime_ns=status.st_mtime_ns,
        size=status.st_size,
        device=status.st_rdev,
        target=os.readlink(path) if kind == "symlink" else b"",
        inode=(status.st_dev, status.st_ino),
        links=status.st_nlink,
        xattrs=_read_xattrs(path),
    )


def _read_xattrs(path: bytes) -> dict[str, bytes] | None:
    try:
        names = os.listxattr(path, follow_symlinks=False)
        return {name: os.getxattr(path, name, follow_symlinks=False) for name in names}
    except OSError as error:
        if error.errno in {errno.ENOTSUP, errno.EPERM, errno.EACCES}:
            return None
        raise


def _find_leaders(tree: Tree) -> None:
    groups: dict[tuple[int, int], list[bytes]] = {}
    for name, entry in tree.entries.items():
        if entry.kind != "directory" and entry.links > 1:
            groups.setdefault(entry.inode, []).append(name)
    for names in groups.values():
        for name in names:
            tree.leaders[name] = min(names)
