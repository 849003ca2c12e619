# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Owner, attributes, mode and times of what was restored (docs/restoring.md, "Metadata").

The order matters: a change of owner clears setuid bits and capabilities, an ACL changes the group bits,
and everything changes the inode; so owner, attributes, mode, times.  What the file system or a missing
privilege refuses is a counted warning: contents are worth having without it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from papi_backup.engine.format.entries import BLOCK, CHARACTER, DIRECTORY, FIFO, FILE, SYMLINK, Entry
from papi_backup.engine.restore.accounts import OwnerNumbers
from papi_backup.engine.restore.differences import attributes_of, differences, extra_of, without_set_ids
from papi_backup.engine.restore.tally import Causes
from papi_backup.engine.restore.tree import BlockedError
from papi_backup.host_paths import by_descriptor, shown

FORMATS = {
    FILE: stat.S_IFREG,
    DIRECTORY: stat.S_IFDIR,
    SYMLINK: stat.S_IFLNK,
    FIFO: stat.S_IFIFO,
    CHARACTER: stat.S_IFCHR,
    BLOCK: stat.S_IFBLK,
}
"""What ``stat.S_IFMT`` says of each type of entry."""


class MetadataWriter:
    """Sets metadata and counts what was refused."""

    def __init__(self, owners: OwnerNumbers, warnings: Causes) -> None:
        self._owners = owners
        self._warnings = warnings

    def set_new(self, descriptor: int, entry: Entry, *, inherits: bool) -> None:
        """Set everything on a file this process has just made and holds open."""
        self._set_all(descriptor, entry, present=inherits)

    def can_mend(self, target: int | bytes, entry: Entry) -> bool:
        """Return whether :meth:`bring_in_line` would set anything; sets nothing."""
        return differences(target, os.stat(target), entry, self._owners.of(entry.owner)).mendable

    def bring_in_line(self, target: int | bytes, entry: Entry) -> bool:
        """Set what differs on a directory, or on something whose content is already right.

        ``target`` is a descriptor or the path :func:`by_descriptor` gives.  Returns whether anything
        was set.
        """
        wanted = differences(target, os.stat(target), entry, self._owners.of(entry.owner))
        chowned = wanted.owner and self._set_owner(target, entry)
        # A change of owner takes capabilities away: then all attributes are set again.
        changed = self._set_xattrs(target, entry, wanted.extra, entry.xattrs if chowned else wanted.wrong)
        if entry.type != SYMLINK and (chowned or changed or wanted.mode):
            owned = chowned or not wanted.owner
            changed |= self._set_mode(target, entry, entry.mode if owned else without_set_ids(entry.mode))
        if wanted.times:
            changed |= self._set_times(target, entry)
        return chowned or changed

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
            self._set_all(target, entry, present=True)
        finally:
            os.close(descriptor)

    def _set_all(self, target: int | bytes, entry: Entry, *, present: bool) -> None:
        """Set everything on something new; it may have got attributes of its directory if ``present``."""
        owned = self._set_owner(target, entry)
        found = attributes_of(target) if present else ()
        self._set_xattrs(target, entry, extra_of(found, entry), entry.xattrs)
        if entry.type != SYMLINK:
            self._set_mode(target, entry, entry.mode if owned else without_set_ids(entry.mode))
        self._set_times(target, entry)

    def _set_owner(self, target: int | bytes, entry: Entry) -> bool:
        uid, gid = self._owners.of(entry.owner)
        try:
            os.chown(target, uid, gid)
        except (OSError, OverflowError) as error:
            return self._refused("owner", entry, error)
        moved = self._owners.moved(entry.owner)
        if moved:
            self._warnings.add(f"{moved}; numeric_owner keeps the numbers", entry.path)
        return True

    def _set_mode(self, target: int | bytes, entry: Entry, mode: int) -> bool:
        try:
            os.chmod(target, mode)
        except OSError as error:
            return self._refused("mode", entry, error)
        return True

    def _set_times(self, target: int | bytes, entry: Entry) -> bool:
        try:
            os.utime(target, ns=(entry.mtime_ns, entry.mtime_ns))
        except (OSError, OverflowError) as error:
            return self._refused("time", entry, error)
        return True

    def _set_xattrs(
        self, target: int | bytes, entry: Entry, extra: Iterable[bytes], wrong: Iterable[bytes]
    ) -> bool:
        changed = False
        for name in extra:
            try:
                os.removexattr(target, name)
                changed = True
            except OSError as error:
                self._refused(f"attribute {shown(name)}", entry, error)
        for name in wrong:
            try:
                os.setxattr(target, name, entry.xattrs[name])
                changed = True
            except (OSError, ValueError) as error:
                self._refused(f"attribute {shown(name)}", entry, error)
        return changed

    def _refused(self, what: str, entry: Entry, error: Exception) -> bool:
        """Count what could not be set; always False."""
        reason = error.strerror if isinstance(error, OSError) else str(error)
        self._warnings.add(f"{what} not set ({reason})", entry.path)
        return False
