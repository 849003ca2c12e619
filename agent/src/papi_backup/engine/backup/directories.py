# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directories of the walk, opened again for what was found in them.

Whoever owns a directory may put a link or another directory in the place of one below it while it is backed
up.  A directory is therefore opened without following links and known by device and inode number: nothing
of another is read under its name.  Where inode numbers do not last, the device alone is compared.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import NamedTuple, Self

from papi_backup.engine.backup.status import FileStatus
from papi_backup.engine.beneath import open_beneath
from papi_backup.engine.inode_numbers import are_made_up

_REPLACED_TEXT = "the directory in which it was found was replaced while it was backed up"
_REPLACED = frozenset((errno.ELOOP, errno.ENOTDIR))
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_PIN = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class Directory(NamedTuple):
    """A directory that the walk went through: its path relative to ``/``, and what tells it from others."""

    path: bytes
    device: int
    inode: int

    @classmethod
    def of(cls, path: bytes, status: FileStatus) -> Self:
        """Return a directory whose status is known."""
        return cls(path, status.st_dev, status.st_ino)

    @property
    def prefix(self) -> bytes:
        """What the paths of all that lies in it begin with."""
        return self.path + b"/" if self.path else b""

    def is_of(self, status: FileStatus) -> bool:
        """Return whether a status is of this very directory."""
        return self.device == status.st_dev and self.inode == status.st_ino


class ReplacedDirectoryError(OSError):
    """Another directory, a link or something else has taken the name of a directory of the walk."""

    def __init__(self) -> None:
        super().__init__(errno.ELOOP, _REPLACED_TEXT)


class OpenDirectories:
    """Opens directories again, and keeps the last one: neighbours are asked for one after the other."""

    def __init__(self, numbers_are_made_up: Callable[[int], bool] = are_made_up) -> None:
        """``numbers_are_made_up`` tells of a device whether its inode numbers may change."""
        self._numbers_are_made_up = numbers_are_made_up
        self._root: int | None = None
        self._last: Directory | None = None
        self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all that is open; what is asked for later is opened again."""
        self._forget()
        if self._root is not None:
            os.close(self._root)
            self._root = None

    def at(self, place: Directory) -> int:
        """Return a descriptor (O_PATH) of a directory, open until another is asked for.

        Raises ReplacedDirectoryError if something else has its name, also when it is looked at once more, and
        OSError for what the system says, FileNotFoundError among it.
        """
        if place != self._last:
            self._forget()
            self._descriptor = self.open(place)
            self._last = place
        return self._descriptor

    def open(self, place: Directory) -> int:
        """Return a descriptor as :meth:`at` does, which is the caller's to close; raises the same."""
        try:
            return self._open(place)
        except (ReplacedDirectoryError, FileNotFoundError):
            return self._open(place)

    def _open(self, place: Directory) -> int:
        if self._root is None:
            self._root = os.open(b"/", _DIRECTORY)
        try:
            descriptor = open_beneath(self._root, place.path, _DIRECTORY)
        except OSError as error:
            if error.errno in _REPLACED:
                raise ReplacedDirectoryError from None
            raise
        status = os.fstat(descriptor)
        if place.is_of(status):
            return descriptor
        if place.device == status.st_dev and self._numbers_are_made_up(place.device):
            return descriptor
        os.close(descriptor)
        raise ReplacedDirectoryError

    def _forget(self) -> None:
        if self._last is not None:
            self._last = None
            os.close(self._descriptor)


@contextmanager
def pinned(directory: int, name: bytes) -> Iterator[int]:
    """Yield a descriptor (O_PATH) of what has a name now: whatever is asked of it is of that one thing.

    Raises OSError.
    """
    descriptor = os.open(name, _PIN, dir_fd=directory)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
