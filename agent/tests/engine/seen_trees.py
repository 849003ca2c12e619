# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree as values that compare: of files on disk, and of a backup's file list.

Shares no code with the walk, so that neither can hide the other's faults.  Works with directory
handles, so that paths may be longer than the kernel takes at once.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from papi_backup.engine.format.entries import ANCESTOR
from papi_backup.engine.format.names import CONTENT
from papi_backup.engine.format.references import SegmentRef
from papi_backup.engine.opened import OpenedBackup, PageReader, SegmentReader
from papi_backup.engine.storage.protocol import Storage

_KINDS = {
    stat.S_IFREG: "f",
    stat.S_IFDIR: "d",
    stat.S_IFLNK: "l",
    stat.S_IFIFO: "p",
    stat.S_IFCHR: "c",
    stat.S_IFBLK: "b",
}


@dataclass(frozen=True, slots=True)
class Thing:
    """Everything that must come back.  ``content`` is a digest; ``peers`` are the other hard links."""

    kind: str
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    size: int = 0
    content: str = ""
    target: bytes = b""
    device: tuple[int, int] | None = None
    xattrs: tuple[tuple[bytes, bytes], ...] = ()
    peers: frozenset[bytes] = frozenset()


Tree = dict[bytes, Thing]


def tree_on_disk(root: bytes | str | os.PathLike[str]) -> Tree:
    """Return everything below ``root``, itself as ``b""``; sockets are left out."""
    tree: Tree = {}
    inodes: dict[tuple[int, int], set[bytes]] = defaultdict(set)
    top = os.open(os.fsencode(root), os.O_RDONLY | os.O_DIRECTORY)
    try:
        tree[b""] = _thing(os.fstat(top), top, b"")
        _look_below(top, b"", tree, inodes)
    finally:
        os.close(top)
    return _with_peers(tree, inodes.values())


def _look_below(directory: int, prefix: bytes, tree: Tree, inodes: dict[tuple[int, int], set[bytes]]) -> None:
    for name in map(os.fsencode, os.listdir(directory)):
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        path = prefix + name
        if stat.S_ISSOCK(status.st_mode):
            continue
        tree[path] = _thing(status, directory, name)
        if stat.S_ISDIR(status.st_mode):
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
            try:
                _look_below(below, path + b"/", tree, inodes)
            finally:
                os.close(below)
        elif status.st_nlink > 1:
            inodes[status.st_dev, status.st_ino].add(path)


def _thing(status: os.stat_result, directory: int, name: bytes) -> Thing:
    kind = _KINDS[stat.S_IFMT(status.st_mode)]
    place = b"/proc/self/fd/%d/%s" % (directory, name or b".")
    thing = Thing(
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        mtime_ns=status.st_mtime_ns,
        xattrs=_xattrs(place),
    )
    if kind == "f":
        with open(place, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return replace(thing, size=status.st_size, content=digest)
    if kind == "l":
        return replace(thing, target=os.readlink(place))
    if kind in "bc":
        return replace(thing, device=(os.major(status.st_rdev), os.minor(status.st_rdev)))
    return thing


def _xattrs(place: bytes) -> tuple[tuple[bytes, bytes], ...]:
    names = os.listxattr(place, follow_symlinks=False)
    return tuple(
        sorted((os.fsencode(name), os.getxattr(place, name, follow_symlinks=False)) for name in names)
    )


def _with_peers(tree: Tree, groups: object) -> Tree:
    assert hasattr(groups, "__iter__")
    for group in groups:
        for path in group:
            tree[path] = replace(tree[path], peers=frozenset(group) - {path})
    return tree


def tree_in_backup(storage: Storage, opened: OpenedBackup, root: bytes | str | os.PathLike[str]) -> Tree:
    """Return what a backup has below ``root``, itself as ``b""``, every content read and verified."""
    top = os.fsencode(root).strip(b"/")
    pages, segments = PageReader(storage, opened), SegmentReader(storage, opened)
    tree: Tree = {}
    groups: dict[str, set[bytes]] = defaultdict(set)
    for _page, leaf in pages.leaves():
        for entry in leaf.entries():
            if ANCESTOR in entry.flags:
                continue
            assert entry.path == top or entry.path.startswith(top + b"/" if top else b""), entry.path
            path = entry.path[len(top) :].lstrip(b"/")
            assert path not in tree, f"{path!r} comes twice"
            digest = hashlib.sha256()
            for item in pages.items(entry):
                if item.segment is None:
                    for piece in _zeros(item.length):
                        digest.update(piece)
                else:
                    raw = segments.fetch(CONTENT, item.segment)
                    digest.update(raw[item.offset : item.offset + item.length])
            tree[path] = Thing(
                kind=entry.type,
                mode=entry.mode,
                uid=entry.owner.uid,
                gid=entry.owner.gid,
                mtime_ns=entry.mtime_ns,
                size=entry.size,
                content=digest.hexdigest() if entry.type == "f" else "",
                target=entry.link_target,
                device=entry.device,
                xattrs=tuple(sorted(entry.xattrs.items())),
            )
            if entry.link_group:
                groups[entry.link_group].add(path)
    return _with_peers(tree, groups.values())


def needed_volumes(storage: Storage, opened: OpenedBackup) -> set[tuple[str, str, int]]:
    """Return (backup, kind, number) of every volume that a backup refers to, found by reading its list."""
    reader = PageReader(storage, opened)
    found: set[tuple[str, SegmentRef]] = set()
    for page, leaf in reader.leaves():
        found.add(("i", page.segment))
        for entry in leaf.entries():
            if entry.item_pages is not None:
                found.add(("i", entry.item_pages.segment))
            found.update(("d", item.segment) for item in reader.items(entry) if item.segment is not None)
    found.update(("i", page.segment) for page in reader.nodes.values())
    found.update(("i", page.segment) for page in opened.manifest.volume_pages)
    return {(segment.backup, kind, segment.volume) for kind, segment in found}


def _zeros(length: int) -> Iterator[bytes]:
    block = bytes(1 << 20)
    while length > 0:
        yield block[: min(length, len(block))]
        length -= len(block)
