# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting one entry in its place: under a temporary name first, renamed when it is complete."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat

from papi_backup.engine.format.entries import BLOCK, CHARACTER, FIFO, SYMLINK, Entry
from papi_backup.engine.inode_numbers import are_made_up
from papi_backup.engine.restore.metadata import MetadataWriter
from papi_backup.engine.restore.share import Head
from papi_backup.engine.restore.tree import BlockedError, Found, Place, Target, Tree, split
from papi_backup.host_paths import Identity, by_descriptor, identity_of

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NOT_EMPTY = frozenset((errno.ENOTEMPTY, errno.EEXIST))
_DEVICES = {CHARACTER: stat.S_IFCHR, BLOCK: stat.S_IFBLK}


class NewFile:
    """A regular file on its way: known before it exists, so that a SIGTERM at any moment finds its name."""

    __slots__ = ("_inherits", "_position", "descriptor", "entry", "temporary")

    def __init__(self, temporary: bytes, entry: Entry) -> None:
        self.entry = entry
        self.temporary = temporary
        self.descriptor = -1
        self._inherits = False
        self._position = 0

    def make(self, place: Place) -> None:
        """Make it.  Its lock tells a later run that it is no leftover."""
        self._inherits = place.inherits
        self.descriptor = os.open(self.temporary, _CREATE, 0o600, dir_fd=place.descriptor)
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def write(self, data: bytes | memoryview) -> None:
        """Append content."""
        done = os.write(self.descriptor, data)
        while done < len(data):
            done += os.write(self.descriptor, data[done:])
        self._position += len(data)

    def skip(self, length: int) -> None:
        """Append a hole."""
        self._position += length
        os.lseek(self.descriptor, self._position, os.SEEK_SET)

    @property
    def position(self) -> int:
        """Bytes appended so far."""
        return self._position

    def complete(self, metadata: MetadataWriter, *, ends_in_hole: bool) -> None:
        """Set length and metadata; the file is then ready for its name."""
        if ends_in_hole:
            os.ftruncate(self.descriptor, self._position)
        metadata.set_new(self.descriptor, self.entry, inherits=self._inherits)


class Placer:
    """Makes files, links and devices in a tree.  One instance serves one process."""

    def __init__(self, tree: Tree, metadata: MetadataWriter) -> None:
        self._tree = tree
        self._metadata = metadata
        self._prefix = b"%s%x-" % (tree.temporary_prefix, os.getpid())
        self._number = 0
        self._pending: NewFile | None = None

    def begin(self, entry: Entry) -> NewFile:
        """Start a regular file; there is at most one at a time.  Raises BlockedError and OSError."""
        place = self._tree.directory(split(entry.path)[0])
        self._pending = file = NewFile(self._temporary(), entry)
        file.make(place)
        return file

    def finish(self, file: NewFile, *, ends_in_hole: bool) -> Identity | None:
        """Give a complete file its metadata and its name; return what it is if it has other names.

        Raises BlockedError and OSError.
        """
        file.complete(self._metadata, ends_in_hole=ends_in_hole)
        directory, name = split(file.entry.path)
        place = self._tree.directory(directory)
        self._rename(place, file.temporary, name, file.entry.path)
        self._pending = None
        identity = identity_of(os.fstat(file.descriptor)) if file.entry.links else None
        os.close(file.descriptor)
        return identity

    def abandon(self) -> None:
        """Remove the file on its way, if any; never raises."""
        file, self._pending = self._pending, None
        if file is None:
            return
        with contextlib.suppress(OSError, BlockedError):
            place = self._tree.directory(split(file.entry.path)[0])
            os.unlink(file.temporary, dir_fd=place.descriptor)
        with contextlib.suppress(OSError):
            os.close(file.descriptor)

    def special(self, entry: Entry) -> Identity | None:
        """Make a symbolic link, FIFO or device; return what it is if it has other names.

        Raises BlockedError and OSError.
        """
        directory, name = split(entry.path)
        place = self._tree.directory(directory)
        temporary = self._temporary()
        try:
            if entry.type == SYMLINK:
                os.symlink(entry.link_target, temporary, dir_fd=place.descriptor)
            elif entry.type == FIFO:
                os.mkfifo(temporary, 0o600, dir_fd=place.descriptor)
            else:
                device = os.makedev(*(entry.device or (0, 0)))
                os.mknod(temporary, _DEVICES[entry.type] | 0o600, device, dir_fd=place.descriptor)
            identity = identity_of(os.lstat(temporary, dir_fd=place.descriptor)) if entry.links else None
            self._metadata.set_special(place.descriptor, temporary, entry)
            self._rename(place, temporary, name, entry.path)
            return identity
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=place.descriptor)
            raise

    def link(self, head: Head, path: bytes) -> bool:
        """Make ``path`` another name of ``head``, which this restore put in its place.

        Returns False if it was one already.  Raises OSError, and BlockedError, also where the first name
        leads to something else by now.
        """
        head_directory, head_name = split(head.path)
        directory, name = split(path)
        source = os.dup(self._tree.directory(head_directory).descriptor)
        try:
            place = self._tree.directory(directory)
            if _is_there(head, place.descriptor, name):
                return False
            temporary = self._temporary()
            try:
                os.link(
                    head_name,
                    temporary,
                    src_dir_fd=source,
                    dst_dir_fd=place.descriptor,
                    follow_symlinks=False,
                )
                if not (_is_there(head, place.descriptor, temporary) or are_made_up(head.identity[0])):
                    raise BlockedError("its first name was replaced before it could be linked")
                self._rename(place, temporary, name, path)
            finally:
                # Renaming one name of a file to another of its names does nothing, and leaves both.
                with contextlib.suppress(OSError):
                    os.unlink(temporary, dir_fd=place.descriptor)
        finally:
            os.close(source)
        return True

    def fix_metadata(self, entry: Entry, descriptor: int) -> bool:
        """Bring the metadata of something open that is already right otherwise in line.

        Returns whether anything had to be set.
        """
        return self._metadata.bring_in_line(by_descriptor(descriptor), entry)

    def is_to_mend(self, entry: Entry) -> bool:
        """Return whether a directory that is there needs other metadata; to be asked before it is disturbed.

        Raises BlockedError and OSError.
        """
        if not entry.path:
            return self._metadata.can_mend(by_descriptor(self._tree.directory(b"").descriptor), entry)
        found = self._tree.find(entry.path)
        if found is None or not stat.S_ISDIR(found.status.st_mode):
            return False
        descriptor = os.open(found.name, _OPEN_DIRECTORY, dir_fd=found.place.descriptor)
        try:
            return self._metadata.can_mend(by_descriptor(descriptor), entry)
        finally:
            os.close(descriptor)

    def directory_metadata(self, entry: Entry) -> None:
        """Set a directory's metadata, after everything below it is done.  Raises BlockedError and OSError."""
        place = self._tree.directory(entry.path)
        self._metadata.bring_in_line(by_descriptor(place.descriptor), entry)
        self._tree.forget(entry.path)

    def _rename(self, place: Place, temporary: bytes, name: bytes, path: bytes) -> None:
        """Give a finished thing its name; an empty directory there makes way.  Raises BlockedError."""
        at = place.descriptor
        try:
            os.rename(temporary, name, src_dir_fd=at, dst_dir_fd=at)
            return
        except IsADirectoryError:
            try:
                os.rmdir(name, dir_fd=at)
            except OSError as error:
                if error.errno in _NOT_EMPTY:
                    raise BlockedError(_not_empty(self._tree.target, path)) from None
                raise
        os.rename(temporary, name, src_dir_fd=at, dst_dir_fd=at)

    def _temporary(self) -> bytes:
        self._number += 1
        return self._prefix + b"%x" % self._number


def require_empty(target: Target, found: Found, path: bytes) -> None:
    """Raise BlockedError if a directory that has to make way is not empty."""
    descriptor = os.open(
        found.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=found.place.descriptor
    )
    try:
        if os.listdir(descriptor):
            raise BlockedError(_not_empty(target, path))
    finally:
        os.close(descriptor)


def _not_empty(target: Target, path: bytes) -> str:
    return f"{target.told(path)} is a directory that is not empty"


def _is_there(head: Head, directory: int, name: bytes) -> bool:
    """Return whether a name leads to what a first name was given to."""
    try:
        return identity_of(os.lstat(name, dir_fd=directory)) == head.identity
    except FileNotFoundError:
        return False
