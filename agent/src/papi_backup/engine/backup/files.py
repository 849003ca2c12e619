# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the metadata of one thing on disk (docs/sources.md, "What is saved of a file")."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from collections.abc import Callable
from typing import NamedTuple

from papi_backup.engine.backup.status import FileStatus
from papi_backup.engine.format.entries import (
    BLOCK,
    CHARACTER,
    DIRECTORY,
    FIFO,
    FILE,
    SYMLINK,
    Entry,
    Owner,
)
from papi_backup.engine.inode_numbers import made_up_on
from papi_backup.host_paths import by_descriptor, shown

_TYPES = {
    stat.S_IFREG: FILE,
    stat.S_IFDIR: DIRECTORY,
    stat.S_IFLNK: SYMLINK,
    stat.S_IFIFO: FIFO,
    stat.S_IFCHR: CHARACTER,
    stat.S_IFBLK: BLOCK,
}
LARGEST_XATTRS = 512 * 1024
"""Bytes of extended attributes kept for one file; no Linux file system in use reaches it."""
_NONE_TO_LIST = frozenset((errno.ENOTSUP, errno.ENOENT))
"""What is asked for attributes is open: it is the way to it through ``/proc`` that may not exist."""
_TOLD_XATTRS = 3
"""Attributes of one file that are named when they cannot be read; the others are counted."""


def type_of(mode: int) -> str | None:
    """Return the entry type for an ``st_mode``; None for a socket, which is not backed up."""
    return _TYPES.get(stat.S_IFMT(mode))


class Owners:
    """Looks user and group names up, once each."""

    def __init__(self) -> None:
        self._owners: dict[tuple[int, int], Owner] = {}

    def of(self, uid: int, gid: int) -> Owner:
        """Return the owner; a number without a name has an empty one."""
        owner = self._owners.get((uid, gid))
        if owner is None:
            user = _name(lambda: pwd.getpwuid(uid).pw_name)
            group = _name(lambda: grp.getgrgid(gid).gr_name)
            owner = self._owners[uid, gid] = Owner(uid, gid, user, group)
        return owner


def _name(look_up: Callable[[], str]) -> str:
    try:
        return look_up()
    except KeyError:
        return ""


class Xattrs(NamedTuple):
    """Extended attributes, and a word on those that could not be read, "" where there are none such."""

    values: dict[bytes, bytes]
    warning: str = ""


NO_XATTRS = Xattrs({})


def read_xattrs(target: int | bytes) -> Xattrs:
    """Return the extended attributes of an open file, or of what a path of :func:`by_descriptor` leads to.

    What cannot be listed or read costs these attributes and nothing else, so that nothing is raised.
    """
    try:
        names = os.listxattr(target)
    except OSError as error:
        return NO_XATTRS if error.errno in _NONE_TO_LIST else _unsaved(error.strerror or str(error))
    if not names:
        return NO_XATTRS
    found: dict[bytes, bytes] = {}
    lost: list[str] = []
    for name in names:
        try:
            found[os.fsencode(name)] = os.getxattr(target, name)
        except OSError as error:
            if error.errno != errno.ENODATA:  # it has vanished
                lost.append(f"{shown(os.fsencode(name))} ({error.strerror})")
    if sum(len(value) for value in found.values()) > LARGEST_XATTRS:
        return _unsaved("they are too large to keep")
    return Xattrs(found, _lost(lost))


def _unsaved(reason: str) -> Xattrs:
    return Xattrs({}, f"its extended attributes were not saved: {reason}")


def _lost(names: list[str]) -> str:
    if not names:
        return ""
    more = f", and {len(names) - _TOLD_XATTRS} more" if len(names) > _TOLD_XATTRS else ""
    return f"extended attributes were not saved: {', '.join(names[:_TOLD_XATTRS])}{more}"


def pinned_xattrs(descriptor: int) -> Xattrs:
    """Return the extended attributes of what an O_PATH descriptor stands for.

    Where ``/proc`` is not mounted there are none.
    """
    return read_xattrs(by_descriptor(descriptor))


def entry_of(path: bytes, status: FileStatus, owners: Owners) -> Entry | None:
    """Return what a status tells of anything; None for a socket."""
    kind = type_of(status.st_mode)
    if kind is None:
        return None
    entry = Entry(
        path=path,
        type=kind,
        mode=stat.S_IMODE(status.st_mode),
        owner=owners.of(status.st_uid, status.st_gid),
        mtime_ns=status.st_mtime_ns,
        ctime_ns=status.st_ctime_ns,
        inode=status.st_ino,
        size=status.st_size if kind == FILE else 0,
    )
    if kind != DIRECTORY:
        entry.link_group = link_group_of(status)
    if kind in (CHARACTER, BLOCK):
        entry.device = (os.major(status.st_rdev), os.minor(status.st_rdev))
    return entry


def pinned_entry(
    path: bytes, descriptor: int, status: FileStatus, owners: Owners
) -> tuple[Entry | None, str]:
    """Return the whole entry of what an O_PATH descriptor stands for, but for contents, and a warning or "".

    A socket has None.  Raises OSError when the target of a link cannot be read.
    """
    entry = entry_of(path, status, owners)
    if entry is None:
        return None, ""
    if entry.type == SYMLINK:
        entry.link_target = os.readlink(b"", dir_fd=descriptor)
    entry.xattrs, warning = pinned_xattrs(descriptor)
    return entry, warning


def link_group_of(status: FileStatus) -> str:
    """Return what all names of one file share; empty for a file that has no other name.

    Empty also where inode numbers are made up: two files may have one number there, and a restore would make
    them one file.
    Device numbers may swap at a reboot while kept pages still hold the old ones: the change time,
    which all names of a file share, keeps two files from getting one group.
    """
    if status.st_nlink <= 1 or status.st_ino == 0 or made_up_on(status.st_dev):
        return ""
    return f"{status.st_dev:x}:{status.st_ino:x}:{status.st_ctime_ns:x}"
