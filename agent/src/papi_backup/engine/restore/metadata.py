# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Owner, attributes, mode and times of what was restored (design section 5).

The order matters: a change of owner clears setuid bits and capabilities, an ACL changes the group bits,
and everything changes the inode; so owner, attributes, mode, times.  What the file system or a missing
privilege refuses is a counted warning: contents are worth having without it.
"""

from __future__ import annotations

import os
import stat

from papi_backup.engine.format.entries import BLOCK, CHARACTER, DIRECTORY, FIFO, FILE, SYMLINK, Entry
from papi_backup.engine.restore.accounts import OwnerNumbers
from papi_backup.engine.restore.tally import Causes, shown
from papi_backup.engine.restore.tree import BlockedError

ACCESS_ACL = b"system.posix_acl_access"
_OURS = (b"user.", b"trusted.", b"system.posix_acl_", b"security.capability")
"""Attributes that are removed where a backup does not have them; a label of a security module stays."""
FORMATS = {
    FILE: stat.S_IFREG,
    DIRECTORY: stat.S_IFDIR,
    SYMLINK: stat.S_IFLNK,
    FIFO: stat.S_IFIFO,
    CHARACTER: stat.S_IFCHR,
    BLOCK: stat.S_IFBLK,
}
"""What ``stat.S_IFMT`` says of each type of entry."""
_SETUID_SETGID = stat.S_ISUID | stat.S_ISGID


def by_descriptor(descriptor: int) -> bytes:
    """Return a path to the very file an O_PATH descriptor stands for; system calls may follow it."""
    return b"/proc/self/fd/%d" % descriptor


class MetadataWriter:
    """Sets metadata and counts what was refused."""

    def __init__(self, owners: OwnerNumbers, warnings: Causes) -> None:
        self._owners = owners
        self._warnings = warnings

    def set_new(self, descriptor: int, entry: Entry, *, inherits: bool) -> None:
        """Set everything on a file this process has just made and holds open."""
        mode = self._set_owner(descriptor, entry)
        if entry.xattrs or inherits:
            self._set_xattrs(descriptor, entry, present=inherits)
        self._set_mode(descriptor, entry, mode)
        self._set_times(descriptor, entry)

    def bring_in_line(self, target: int | bytes, entry: Entry) -> None:
        """Set what differs on a directory, or on something whose content is already right.

        ``target`` is a descriptor or the path :func:`by_descriptor` gives.
        """
        if entry.type == SYMLINK:
            self._set_link(target, entry)
            return
        status = os.stat(target)
        mode = entry.mode
        chowned = (status.st_uid, status.st_gid) != self._owners.of(entry.owner)
        if chowned:
            mode = self._set_owner(target, entry)
        self._set_xattrs(target, entry, present=True)
        if chowned or entry.xattrs or stat.S_IMODE(status.st_mode) != mode:
            self._set_mode(target, entry, mode)
        if status.st_mtime_ns != entry.mtime_ns:
            self._set_times(target, entry)

    def set_special(self, directory: int, name: bytes, entry: Entry) -> None:
        """Set everything on a symbolic link, FIFO or device this process has just made.

        Raises OSError, and BlockedError if somebody who may write there has put something else in
        its place.
        """
        descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            status = os.fstat(descriptor)
            if status.st_nlink != 1 or stat.S_IFMT(status.st_mode) != FORMATS[entry.type]:
                raise BlockedError("something else was put in its place while it was made")
            target = by_descriptor(descriptor)
            if entry.type == SYMLINK:
                self._set_link(target, entry)
                return
            mode = self._set_owner(target, entry)
            self._set_xattrs(target, entry, present=True)
            self._set_mode(target, entry, mode)
            self._set_times(target, entry)
        finally:
            os.close(descriptor)

    def _set_link(self, target: int | bytes, entry: Entry) -> None:
        """Set everything on a symbolic link: a path by descriptor leads to it, and no further."""
        self._set_owner(target, entry)
        for name, value in entry.xattrs.items():
            try:
                os.setxattr(target, name, value)
            except (OSError, ValueError) as error:
                self._refused(f"attribute {shown(name)}", entry, error)
        self._set_times(target, entry)

    def _set_owner(self, target: int | bytes, entry: Entry) -> int:
        """Set the owner; return the mode to set then: no setuid bit for an owner it was not meant for."""
        uid, gid = self._owners.of(entry.owner)
        try:
            os.chown(target, uid, gid)
        except (OSError, OverflowError) as error:
            self._refused("owner", entry, error)
            return entry.mode & ~_SETUID_SETGID
        return entry.mode

    def _set_mode(self, target: int | bytes, entry: Entry, mode: int) -> None:
        try:
            os.chmod(target, mode)
        except OSError as error:
            self._refused("mode", entry, error)

    def _set_times(self, target: int | bytes, entry: Entry) -> None:
        try:
            os.utime(target, ns=(entry.mtime_ns, entry.mtime_ns))
        except (OSError, OverflowError) as error:
            self._refused("time", entry, error)

    def _set_xattrs(self, target: int | bytes, entry: Entry, *, present: bool) -> None:
        """Set the attributes of the backup and, where others may be present, remove those."""
        found = _attributes_of(target) if present else ()
        for name in found:
            if name not in entry.xattrs and name.startswith(_OURS):
                try:
                    os.removexattr(target, name)
                except OSError as error:
                    self._refused(f"attribute {shown(name)}", entry, error)
        for name, value in entry.xattrs.items():
            try:
                if name not in found or os.getxattr(target, name) != value:
                    os.setxattr(target, name, value)
            except (OSError, ValueError) as error:
                self._refused(f"attribute {shown(name)}", entry, error)

    def _refused(self, what: str, entry: Entry, error: Exception) -> None:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        self._warnings.add(f"{what} not set ({reason})", entry.path)


def _attributes_of(target: int | bytes) -> tuple[bytes, ...]:
    try:
        return tuple(map(os.fsencode, os.listxattr(target)))
    except OSError:
        return ()  # no attributes on this file system
