# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The depth-first walk over the sources, in the order of the file list (docs/format.md, "Pages").

Each directory is opened by its name in the one above, which is open, and no link is followed: see
``directories.py``.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from papi_backup.engine.backup.directories import Directory, OpenDirectories, ReplacedDirectoryError, pinned
from papi_backup.engine.backup.files import Xattrs, pinned_xattrs, read_xattrs
from papi_backup.engine.backup.mounts import Mounts
from papi_backup.engine.backup.own_storage import NOWHERE, STORAGE_TEXT, OwnStorage
from papi_backup.engine.backup.status import FileStatus
from papi_backup.engine.inode_numbers import made_up_on
from papi_backup.engine.patterns import Excludes

_VANISHED = frozenset((errno.ENOENT, errno.ENOTDIR))
LONGEST_KEPT_PATH = 32 * 1024
"""Longer paths are left out and named: their pages would not fit a segment of the smallest volumes."""
_LONGEST_BATCH = 1024
_FORMAT = 0o170000
"""The bits of a mode that tell what kind of file it is."""
_REPLACED_WAY_TEXT = "a directory above it was replaced since the backup began; it is left out"
_PASSED = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LISTED = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
Warn = Callable[[bytes, str], None]


Found = tuple[bytes, FileStatus]
"""One thing on disk: its path relative to ``/``, and its status, not followed."""


class Batch(NamedTuple):
    """Neighbours of the walk, in its order; ``ancestors`` are directories above the sources.

    ``places`` are the directories that they lie in, each with the number of what comes behind its last one.
    ``attributes`` are the extended attributes, by path, of those directories that have any.
    """

    found: list[Found]
    ancestors: bool = False
    places: Sequence[tuple[int, Directory]] = ()
    attributes: Mapping[bytes, dict[bytes, bytes]] = MappingProxyType({})


Attributes = dict[bytes, dict[bytes, bytes]]
"""As in :class:`Batch`."""
Identity = tuple[int, int]
"""Device and inode number of a directory."""


@dataclass(slots=True)
class _Level:
    """A directory that is being walked, and the names in it that are still to be looked at.

    Only names, because there may be a million; only one directory is open, however deep the tree.
    """

    place: Directory
    names: deque[bytes]
    is_source: bool = False
    """Whether the one name is that of a source, which no pattern leaves out."""


_Entered = tuple[_Level, int]
"""A directory to be walked, and a descriptor of it."""


class Walker:
    """Walks sources; every path comes once, directories before what is in them."""

    def __init__(
        self,
        sources: Sequence[bytes],
        excludes: Excludes,
        skipped: frozenset[bytes],
        warn: Warn,
        storage: OwnStorage = NOWHERE,
    ) -> None:
        """``storage`` is where the backup goes; what lies there is left out."""
        self._sources = sources
        self._excludes = excludes
        self._skipped = skipped
        self._mounts = Mounts.read()
        self._warn = warn
        self._storage = storage

    def __iter__(self) -> Iterator[Batch]:
        told: set[bytes] = set()
        for source in self._sources:
            if self._is_skipped(source):
                self._warn(source, "belongs to the agent itself and is not backed up")
                continue
            if source in self._mounts.kernels_own:
                self._warn(source, "is of the kernel's own file systems, whose contents are not backed up")
            try:
                above, place, descriptor = self._way_to(source, told)
            except OSError as error:
                replaced = error.errno in (errno.ELOOP, errno.ENOTDIR)
                self._warn(source, _REPLACED_WAY_TEXT if replaced else _text_of(error))
                continue
            told.update(path for path, _status in above.found)
            yield above
            if source:
                name = os.path.basename(source)
                yield from self._walk(_Level(place, deque((name,)), is_source=True), descriptor)
            else:
                yield from self._whole_system(descriptor)

    def again(self, place: Directory, name: bytes) -> Iterator[Batch]:
        """Walk what has a name in a directory of the walk by now, as far as it is not left out.

        Raises OSError, and ReplacedDirectoryError if another directory has taken the place of that one.
        """
        with OpenDirectories() as places:
            descriptor = places.open(place)
        yield from self._walk(_Level(place, deque((name,))), descriptor)

    def _is_skipped(self, path: bytes) -> bool:
        return path in self._skipped or any(above in self._skipped for above in _ancestors(path))

    def _way_to(self, source: bytes, told: set[bytes]) -> tuple[Batch, Directory, int]:
        """Go down to a source; return what was not told of the way yet, where the source lies, and that open.

        Raises OSError.
        """
        found: list[Found] = []
        attributes: Attributes = {}
        path, descriptor = b"", os.open(b"/", _PASSED)
        try:
            for ancestor in _ancestors(source):
                if ancestor:
                    below = os.open(os.path.basename(ancestor), _PASSED, dir_fd=descriptor)
                    os.close(descriptor)
                    path, descriptor = ancestor, below
                if ancestor not in told:
                    found.append((ancestor, os.fstat(descriptor)))
                    self._note(attributes, ancestor, descriptor, pinned_xattrs)
            if source:
                os.stat(os.path.basename(source), dir_fd=descriptor, follow_symlinks=False)
            place = Directory.of(path, os.fstat(descriptor))
        except OSError:
            os.close(descriptor)
            raise
        return Batch(found, ancestors=True, attributes=attributes), place, descriptor

    def _whole_system(self, root: int) -> Iterator[Batch]:
        """Yield ``/`` and everything below it; ``root`` is a descriptor of it, and is closed."""
        try:
            descriptor = os.open(b".", _LISTED, dir_fd=root)
        finally:
            os.close(root)
        attributes: Attributes = {}
        status, entered = self._entered(b"", descriptor, attributes, frozenset())
        yield Batch([(b"", status)], places=((1, Directory.of(b"", status)),), attributes=attributes)
        if entered is not None:
            yield from self._walk(*entered)

    def _walk(self, top: _Level, descriptor: int) -> Iterator[Batch]:
        """Yield what has the names of ``top``, and all below, without recursion in Python's stack.

        ``descriptor`` is of the directory of ``top``, and is closed.
        """
        stack = [top]
        above = set[Identity]() if top.is_source else {top.place[1:]}
        opened: int | None = descriptor
        try:
            with OpenDirectories() as places:
                while stack:
                    level = stack[-1]
                    if not level.names:
                        above.discard(level.place[1:])
                        stack.pop()
                        _close(opened)
                        opened = None
                        continue
                    if opened is None:
                        opened = self._reopened(places, level)
                        continue
                    found, attributes, entered = self._look_at(opened, level, above)
                    if entered is not None:
                        _close(opened)
                        below, opened = entered
                        stack.append(below)
                        above.add(below.place[1:])
                    if found:
                        yield Batch(found, places=((len(found), level.place),), attributes=attributes)
        finally:
            _close(opened)

    def _reopened(self, places: OpenDirectories, level: _Level) -> int | None:
        """Open a directory once more; where that cannot be, the rest of its names are dropped."""
        path = level.place.path
        try:
            return places.open(level.place)
        except ReplacedDirectoryError:
            self._warn(path, "was replaced while it was backed up; the rest of what was in it is left out")
        except OSError as error:
            self._tell(path, error)
        level.names.clear()
        return None

    def _look_at(
        self, directory: int, level: _Level, above: Container[Identity]
    ) -> tuple[list[Found], Attributes, _Entered | None]:
        """Take names; return what a directory has under them, up to the first directory that is entered."""
        names, prefix, skipped = level.names, level.place.prefix, self._skipped
        excluded = None if level.is_source or self._excludes.is_empty else self._excludes.match
        look, longest = os.stat, LONGEST_KEPT_PATH
        found: list[Found] = []
        attributes: Attributes = {}
        entered = None
        while names:
            name = names.popleft()
            path = prefix + name
            if path in skipped:
                continue
            if len(path) > longest:
                self._warn(path[:200] + b"...", f"its path is longer than {longest} bytes")
                continue
            try:
                status: FileStatus = look(name, dir_fd=directory, follow_symlinks=False)
                is_directory = status.st_mode & _FORMAT == stat.S_IFDIR
                if excluded is not None and excluded(path, directory=is_directory):
                    continue
                if is_directory:
                    status, entered = self._enter(directory, name, path, attributes, above)
            except OSError as error:  # another user's mount, say: that is no reason to lose the rest
                self._tell(path, error)
                continue
            found.append((path, status))
            if entered is not None or len(found) >= _LONGEST_BATCH:
                break
        if level.is_source:
            for path, status in found:
                if stat.S_ISLNK(status.st_mode):
                    self._warn(path, "is a symbolic link: it is saved as such; name its target to save that")
        return found, attributes, entered

    def _enter(
        self, directory: int, name: bytes, path: bytes, attributes: Attributes, above: Container[Identity]
    ) -> tuple[FileStatus, _Entered | None]:
        """Open what was a directory; return its status, and what is in it unless that is left out.

        What cannot be opened is looked at once more: something else may have its name by now.
        Raises OSError.
        """
        if path in self._mounts.kernels_own:
            # Opened to be read, a place where an automount waits would have its file system mounted.
            with pinned(directory, name) as pin:
                self._note(attributes, path, pin, pinned_xattrs)
                return os.fstat(pin), None
        try:
            descriptor = os.open(name, _LISTED, dir_fd=directory)
        except OSError:
            with pinned(directory, name) as pin:
                status = os.fstat(pin)
                if not stat.S_ISDIR(status.st_mode):
                    return status, None
                try:
                    descriptor = os.open(b".", _LISTED, dir_fd=pin)
                except OSError as error:
                    self._tell(path, error)
                    self._note(attributes, path, pin, pinned_xattrs)
                    return status, None
        return self._entered(path, descriptor, attributes, above)

    def _entered(
        self, path: bytes, descriptor: int, attributes: Attributes, above: Container[Identity]
    ) -> tuple[FileStatus, _Entered | None]:
        """Return the status of a directory, and what is in it, with ``descriptor``, if that is walked."""
        status = os.fstat(descriptor)
        self._note(attributes, path, descriptor, read_xattrs)
        place = Directory.of(path, status)
        names: list[bytes] = []
        if place[1:] in above and self._may_lead_back(path, place):
            self._warn(path, "is mounted inside itself; its contents are left out")
        elif place.device not in self._mounts.devices:
            try:
                names = _names(descriptor)
                self._pass_over_storage(descriptor, place, names)
            except OSError as error:
                self._tell(path, error)
        if not names:
            os.close(descriptor)
            return status, None
        # A directory's subtree sorts right behind it, so plain order of names is walk order.
        return status, (_Level(place, deque(names)), descriptor)

    def _pass_over_storage(self, descriptor: int, place: Directory, names: list[bytes]) -> None:
        found = self._storage.places_in(descriptor, place[1:], names)
        if found:
            self._warn(place.path, STORAGE_TEXT)
            self._skipped = self._skipped.union(place.prefix + path for path in found)

    def _may_lead_back(self, path: bytes, place: Directory) -> bool:
        """Whether numbers that are alike are of one directory: some file systems give all things the same."""
        return path in self._mounts.points or not (place.inode == 0 or made_up_on(place.device))

    def _note(
        self, attributes: Attributes, path: bytes, descriptor: int, read: Callable[[int], Xattrs]
    ) -> None:
        """Note the extended attributes of a directory if it has any."""
        found, warning = read(descriptor)
        if warning:
            self._warn(path, warning)
        if found:
            attributes[path] = found

    def _tell(self, path: bytes, error: OSError) -> None:
        """Warn of what could not be looked at; what has vanished is no news."""
        if error.errno not in _VANISHED:
            self._warn(path, _text_of(error))


def _names(directory: int) -> list[bytes]:
    """Return the sorted names of a directory; joined, because encoding each by itself takes longer."""
    names = os.listdir(directory)
    return sorted(os.fsencode("\0".join(names)).split(b"\0")) if names else []


def _close(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)


def _text_of(error: OSError) -> str:
    return error.strerror or str(error)


def _ancestors(source: bytes) -> Iterator[bytes]:
    if source:
        yield b""
        for end in range(len(source)):
            if source[end : end + 1] == b"/":
                yield source[:end]
