# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The place a restore writes to, by directory descriptors: nothing outside it can be reached.

Each component of a path is opened below its parent's descriptor with O_NOFOLLOW, so neither a name
in a file list nor a symbolic link on disk, old or just restored, leads anywhere else.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

from papi_backup.host_paths import Identity, by_descriptor, shown
from papi_backup.model.job import Overwrite

TEMPORARY_PREFIX = b".papi-restore-"
DEFAULT_ACL = "system.posix_acl_default"
PROTECTED = "belongs to the agent itself and is not restored"
_OPEN_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_KEPT_OPEN = 64
_IN_THE_WAY = frozenset((errno.ENOTDIR, errno.ELOOP))


class BlockedError(Exception):
    """Something on disk is where an entry belongs and may not be replaced; the text is for a person."""


class ProtectedError(BlockedError):
    """An entry belongs in a directory of the agent itself, found there under another name than its own."""

    def __init__(self) -> None:
        super().__init__(PROTECTED)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a restore writes.

    ``path`` is absolute, without links, and for messages only: what is written goes below a descriptor.
    ``protected`` are the paths below it that are never touched, being of the agent itself;
    ``protected_directories`` are those and others of the agent's, by whatever name they are found.
    """

    path: bytes
    overwrite: Overwrite
    protected: tuple[bytes, ...] = ()
    protected_directories: frozenset[Identity] = frozenset()

    @property
    def in_place(self) -> bool:
        """Whether files go where they came from: links of the system's own layout are then kept."""
        return self.path == b"/"

    @property
    def replaces(self) -> bool:
        """Whether something that exists may be replaced."""
        return self.overwrite in ("always", "changed")

    def is_protected(self, path: bytes) -> bool:
        """Return whether a path is of the agent itself, or lies in what is."""
        return path.startswith(self.protected) and any(
            (path + b"/").startswith(own + b"/") for own in self.protected
        )

    def open_directory(self, name: bytes, parent: int) -> int:
        """Open a directory in another one, itself never a link, as a place for entries.

        Raises ProtectedError and OSError.
        """
        descriptor = os.open(name, _OPEN_DIRECTORY, dir_fd=parent)
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) in self.protected_directories:
            os.close(descriptor)
            raise ProtectedError
        return descriptor

    def told(self, path: bytes) -> str:
        """Return the place of an entry for messages."""
        return shown(os.path.join(self.path, path) if path else self.path)


@dataclass(slots=True)
class Place:
    """An open directory.  ``fresh``: this process made it, so that only this run's entries are in it.
    ``inherits``: what is created in it may get an ACL that is in no backup.
    """

    descriptor: int
    fresh: bool
    inherits: bool


class Found(NamedTuple):
    """Something on disk, at a name in an open directory; not followed."""

    place: Place
    name: bytes
    status: os.stat_result


def split(path: bytes) -> tuple[bytes, bytes]:
    """Return (directory, name) of a listed path.  Raises BlockedError for one that leads elsewhere."""
    directory, _slash, name = path.rpartition(b"/")
    if name in (b"", b".", b"..") or b"\0" in path or path.startswith(b"/"):
        raise BlockedError(f"the name {shown(path)!r} is refused")
    return directory, name


def why_it_stays(target: Target, parent: Place, name: bytes, path: bytes, status: os.stat_result) -> str:
    """Return why what is no directory may not make way for one; "" if it may."""
    what = target.told(path)
    if not target.replaces:
        return f"{what} is no directory and overwrite={target.overwrite} keeps it"
    if target.in_place and stat.S_ISLNK(status.st_mode):
        with contextlib.suppress(OSError):
            if stat.S_ISDIR(os.stat(name, dir_fd=parent.descriptor).st_mode):
                return (
                    f"{what} is a symbolic link to a directory where a directory belongs: "
                    "it is neither followed nor replaced"
                )
    return ""


class Tree:
    """Opens and makes directories below the target.  One instance serves one process."""

    def __init__(self, target: Target, root: int, token: str) -> None:
        """``root``: the descriptor of the target's directory; the caller closes it."""
        self.target = target
        self.temporary_prefix = TEMPORARY_PREFIX + token.encode() + b"-"
        """What the names of this restore's temporary files begin with, in all its processes."""
        self.made: set[bytes] = set()
        """Directories made only because something is below them: their metadata is still to be set."""
        self.devices: dict[int, bytes] = {}
        """File systems written to, each with one directory on it."""
        self._open: OrderedDict[bytes, Place] = OrderedDict()
        self._root = self._place(b"", os.dup(root), fresh=False)

    def directory(self, path: bytes) -> Place:
        """Return an open directory, made with all above it where missing.

        It stays open at least until the next call.  Raises BlockedError and OSError.
        """
        if not path:
            return self._root
        place = self._open.get(path)
        if place is not None:
            self._open.move_to_end(path)
            return place
        missing = []
        above = path
        while above and above not in self._open:
            missing.append(above)
            above = above.rpartition(b"/")[0]
        place = self._open[above] if above else self._root
        for step in reversed(missing):
            place = self._enter(place, step)
        return place

    def make_directory(self, path: bytes) -> bool:
        """Make sure that a listed directory exists; return whether this call made it.

        Raises BlockedError and OSError.
        """
        above, name = split(path)
        parent = self.directory(above)
        if path in self._open:
            return False
        fresh = self._make(parent, name, path)
        place = self._open_child(parent, name, path, fresh=fresh)
        if not fresh:
            self._sweep(place)
            self._open_up(place)
        return fresh

    def find(self, path: bytes) -> Found | None:
        """Return what is at an entry's place, None for nothing; directories above it are made.

        Raises BlockedError and OSError.
        """
        directory, name = split(path)
        place = self.directory(directory)
        if place.fresh:
            return None
        try:
            return Found(place, name, os.lstat(name, dir_fd=place.descriptor))
        except FileNotFoundError:
            return None

    def forget(self, path: bytes) -> None:
        """Close a directory that nothing will be written to any more."""
        place = self._open.pop(path, None)
        if place is not None:
            os.close(place.descriptor)

    def close(self) -> None:
        """Close all descriptors."""
        for place in (*self._open.values(), self._root):
            os.close(place.descriptor)
        self._open.clear()

    def _enter(self, parent: Place, path: bytes) -> Place:
        """Open a directory on the way to something, making it if it is not there."""
        name = split(path)[1]
        try:
            return self._open_child(parent, name, path, fresh=False)
        except FileNotFoundError:
            fresh = self._make(parent, name, path)
        except OSError as error:
            if error.errno not in _IN_THE_WAY:
                raise
            fresh = self._make(parent, name, path)
        if fresh:
            self.made.add(path)
        return self._open_child(parent, name, path, fresh=fresh)

    def _make(self, parent: Place, name: bytes, path: bytes) -> bool:
        """Make a directory; return False if there is one."""
        try:
            os.mkdir(name, 0o700, dir_fd=parent.descriptor)
            return True
        except FileExistsError:
            status = os.lstat(name, dir_fd=parent.descriptor)
            if stat.S_ISDIR(status.st_mode):
                return False
        self._clear_the_way(parent, name, path, status)
        try:
            os.mkdir(name, 0o700, dir_fd=parent.descriptor)
        except FileExistsError:
            return False  # another process of this restore was quicker
        return True

    def _clear_the_way(self, parent: Place, name: bytes, path: bytes, status: os.stat_result) -> None:
        """Remove what is no directory where one belongs.  Raises BlockedError if it must stay."""
        reason = why_it_stays(self.target, parent, name, path, status)
        if reason:
            raise BlockedError(reason)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=parent.descriptor)

    def _open_child(self, parent: Place, name: bytes, path: bytes, *, fresh: bool) -> Place:
        descriptor = self.target.open_directory(name, parent.descriptor)
        place = self._place(path, descriptor, fresh=fresh)
        self._open[path] = place
        while len(self._open) > _KEPT_OPEN:
            _unused, oldest = self._open.popitem(last=False)
            os.close(oldest.descriptor)
        return place

    def _place(self, path: bytes, descriptor: int, *, fresh: bool) -> Place:
        self.devices.setdefault(os.fstat(descriptor).st_dev, path)
        return Place(descriptor, fresh, _has_default_acl(descriptor))

    def _open_up(self, place: Place) -> None:
        """Let its owner write to a directory whose mode is set again when all is done."""
        if os.geteuid() != 0 and self.target.replaces:
            with contextlib.suppress(OSError):
                path = by_descriptor(place.descriptor)
                mode = stat.S_IMODE(os.stat(path).st_mode)
                if mode & stat.S_IRWXU != stat.S_IRWXU:
                    os.chmod(path, mode | stat.S_IRWXU)

    def _sweep(self, place: Place) -> None:
        """Remove what a killed restore left here: temporary files that no process holds locked."""
        try:
            names = os.listdir(by_descriptor(place.descriptor))
        except OSError:
            return
        for name in names:
            if name.startswith(TEMPORARY_PREFIX) and not name.startswith(self.temporary_prefix):
                with contextlib.suppress(OSError):
                    _remove_unlocked(place.descriptor, name)


def _remove_unlocked(directory: int, name: bytes) -> None:
    if not stat.S_ISREG(os.lstat(name, dir_fd=directory).st_mode):
        os.unlink(name, dir_fd=directory)
        return
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(name, dir_fd=directory)
    finally:
        os.close(descriptor)


def _has_default_acl(descriptor: int) -> bool:
    try:
        os.getxattr(by_descriptor(descriptor), DEFAULT_ACL)
    except OSError:
        return False
    return True
