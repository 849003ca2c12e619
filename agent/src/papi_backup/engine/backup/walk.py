# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The depth-first walk over the sources, in the order of the file list (design section 4)."""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from papi_backup.engine.backup.excludes import Excludes
from papi_backup.engine.backup.files import LONGEST_PATH, absolute, open_at
from papi_backup.engine.backup.status import FileStatus
from papi_backup.engine.format.entries import walk_key
from papi_backup.model.errors import InvalidParameterError

PSEUDO_FILE_SYSTEMS = frozenset(
    b"autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts efivarfs fusectl hugetlbfs mqueue nsfs "
    b"proc pstore rpc_pipefs securityfs selinuxfs sysfs tracefs".split()
)
"""File systems of the kernel itself: their mount points are kept, their contents are not."""
_VANISHED = frozenset((errno.ENOENT, errno.ENOTDIR))
LONGEST_KEPT_PATH = 32 * 1024
"""Longer paths are left out and named: their pages would not fit a segment of the smallest volumes."""
_LONGEST_BATCH = 1024
Warn = Callable[[bytes, str], None]


Found = tuple[bytes, FileStatus]
"""One thing on disk: its path relative to ``/``, and its status, not followed."""


class Batch(NamedTuple):
    """Neighbours of the walk, in its order; ``ancestors`` are directories above the sources."""

    found: list[Found]
    ancestors: bool = False


def normalise_sources(paths: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return source paths relative to ``/``, sorted, without those inside others.

    Symbolic links above a source are resolved, so that every ancestor in the list is a directory.
    Raises InvalidParameterError, naming them, for relative paths and for paths that do not exist.
    """
    cleaned = set()
    missing = []
    for path in paths:
        if not path.startswith(b"/"):
            raise InvalidParameterError(f"The path {os.fsdecode(path)!r} is not absolute.", "paths")
        parent, name = os.path.split(os.path.normpath(path))
        normal = os.path.join(os.path.realpath(parent), name).lstrip(b"/")
        if os.path.lexists(absolute(normal)):
            cleaned.add(normal)
        else:
            missing.append(repr(os.fsdecode(path)))
    if missing:
        raise InvalidParameterError(f"Nothing to back up: {', '.join(missing)} does not exist.", "paths")
    if not cleaned:
        raise InvalidParameterError("The backup names no paths.", "paths")
    kept: list[bytes] = []
    for path in sorted(cleaned, key=walk_key):
        if not kept or not (kept[-1] == b"" or path.startswith(kept[-1] + b"/")):
            kept.append(path)
    return tuple(kept)


def pseudo_mounts(mountinfo: str = "/proc/self/mountinfo") -> frozenset[bytes]:
    """Return the mount points, relative to ``/``, of the kernel's own file systems."""
    mounts = set()
    try:
        with open(mountinfo, "rb") as lines:
            for line in lines:
                fields = line.split()
                if fields[fields.index(b"-") + 1] in PSEUDO_FILE_SYSTEMS:
                    point = fields[4].decode("unicode_escape").encode("latin-1")
                    mounts.add(point.lstrip(b"/"))
    except FileNotFoundError:
        return frozenset()
    return frozenset(mounts)


class Walker:
    """Walks sources; every path comes once, directories before what is in them."""

    def __init__(
        self, sources: Sequence[bytes], excludes: Excludes, skipped: frozenset[bytes], warn: Warn
    ) -> None:
        self._sources = sources
        self._excludes = excludes
        self._skipped = skipped
        self._pseudo = pseudo_mounts()
        self._warn = warn

    def __iter__(self) -> Iterator[Batch]:
        told: set[bytes] = set()
        for source in self._sources:
            if self._is_skipped(source):
                self._warn(source, "belongs to the agent itself and is not backed up")
                continue
            try:
                above: list[Found] = [
                    (ancestor, os.lstat(absolute(ancestor)))
                    for ancestor in _ancestors(source)
                    if ancestor not in told
                ]
                status = os.lstat(absolute(source))
            except OSError as error:
                self._warn(source, error.strerror or str(error))
                continue
            told.update(path for path, _status in above)
            yield Batch(above, ancestors=True)
            yield Batch([(source, status)])
            if stat.S_ISLNK(status.st_mode):
                self._warn(source, "is a symbolic link: it is saved as such; name its target to save that")
            if stat.S_ISDIR(status.st_mode):
                yield from self._below(source, status)

    def _is_skipped(self, path: bytes) -> bool:
        return path in self._skipped or any(above in self._skipped for above in _ancestors(path))

    def _below(self, directory: bytes, status: FileStatus) -> Iterator[Batch]:
        """Yield everything below a directory, without recursion in Python's stack."""
        above = {_identity(status)}
        stack = [(self._children(directory), _identity(status))]
        while stack:
            children, here = stack[-1]
            found = next(children, None)
            if found is None:
                stack.pop()
                above.discard(here)
                continue
            yield Batch(found)
            path, status = found[-1]
            if not stat.S_ISDIR(status.st_mode):
                continue
            identity = _identity(status)
            if identity in above:
                self._warn(path, "is mounted inside itself; its contents are left out")
                continue
            above.add(identity)
            stack.append((self._children(path), identity))

    def _children(self, directory: bytes) -> Iterator[list[Found]]:
        """Yield what is in a directory, in lists that end with each directory or are long enough."""
        if directory in self._pseudo:
            return
        try:
            names = deque(self._names(directory))
        except OSError as error:
            self._tell(directory, error)
            return
        # A directory's subtree sorts right behind it, so plain order of names is walk order.
        while names:
            found = self._look_at(directory, names)
            if found:
                yield found

    def _look_at(self, directory: bytes, names: deque[bytes]) -> list[Found]:
        """Take names and return what a directory has under them, up to the first that is a directory.

        Each is asked for by its name in the directory: looking a long path up costs more than its status.
        The directory is open for no longer than that, however deep the tree.
        """
        prefix = directory + b"/" if directory else b""
        skipped, excluded = self._skipped, self._excludes.match
        found: list[Found] = []
        try:
            place = open_at(directory, os.O_PATH | os.O_DIRECTORY)
        except OSError as error:
            self._tell(directory, error)
            names.clear()
            return found
        try:
            while names:
                name = names.popleft()
                path = prefix + name
                if path in skipped:
                    continue
                if len(path) > LONGEST_KEPT_PATH:
                    self._warn(path[:200] + b"...", f"its path is longer than {LONGEST_KEPT_PATH} bytes")
                    continue
                try:
                    status = os.stat(name, dir_fd=place, follow_symlinks=False)
                except OSError as error:  # another user's mount, say: that is no reason to lose the rest
                    self._tell(path, error)
                    continue
                is_directory = stat.S_ISDIR(status.st_mode)
                if excluded(path, directory=is_directory):
                    continue
                found.append((path, status))
                if is_directory or len(found) >= _LONGEST_BATCH:
                    break
        finally:
            os.close(place)
        return found

    def _tell(self, path: bytes, error: OSError) -> None:
        """Warn of what could not be looked at; what has vanished is no news."""
        if error.errno not in _VANISHED:
            self._warn(path, error.strerror or str(error))

    @staticmethod
    def _names(directory: bytes) -> list[bytes]:
        """Return the sorted names of a directory; only names, because there may be a million."""
        if len(directory) < LONGEST_PATH:
            return sorted(os.listdir(absolute(directory)))
        place = open_at(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            return sorted(map(os.fsencode, os.listdir(place)))
        finally:
            os.close(place)


def _identity(status: FileStatus) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _ancestors(source: bytes) -> Iterator[bytes]:
    if source:
        yield b""
        for end in range(len(source)):
            if source[end : end + 1] == b"/":
                yield source[:end]
