# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory as a storage: for tests, and for a file system that is mounted on the host.

The base directory itself must exist, or its parent must: the first write then makes the last
component.  An object is written under ``tmp/``, synced, linked to its name (a link refuses an
existing target, so creation is exclusive on every POSIX file system that has links) and its
directory is synced.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from papi_backup.engine.storage.bounds import ListingBound
from papi_backup.engine.storage.connecting import Entering, untold
from papi_backup.engine.storage.names import (
    TEMPORARY,
    ancestors,
    checked_name,
    checked_prefix,
    temporary_name,
)
from papi_backup.engine.storage.protocol import (
    ObjectExistsError,
    ObjectInfo,
    ObjectMissingError,
    holds_object,
)
from papi_backup.model.errors import InvalidStorageError, PapiError, TransferError

_LINKS = 30
"""Another's deletion may remove a directory, because it is empty, just after it was made for us."""
_NOT_THERE = (FileNotFoundError, NotADirectoryError)
_PLACE_ERRNOS = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EOPNOTSUPP,
        errno.ENOTCONN,
    }
)


def _as_storage_error(error: OSError, doing: str) -> PapiError:
    """Turn an operating system error into 4001 (the place is at fault) or 4005 (the transfer is)."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return InvalidStorageError(f"disk full: {doing}: {error.strerror}")
    kind = InvalidStorageError if error.errno in _PLACE_ERRNOS else TransferError
    return kind(f"{doing}: {error.strerror or error}")


def _sync_directory(path: Path) -> None:
    """Make the entries of ``path`` durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class DirectoryStorage:
    """Objects as files below ``root`` (implements ``connecting.Connectable``)."""

    host_key = ""

    def __init__(self, root: Path) -> None:
        self._root = Path(root)

    def room(self) -> int | None:
        """See ``connecting.Connectable.room``."""
        try:
            space = os.statvfs(self._root)
        except OSError as error:
            raise _as_storage_error(error, f"asking for the room in {self._root}") from error
        return space.f_frsize * space.f_bavail

    def open(self, entering: Entering = untold) -> None:
        """See ``connecting.Connectable.open``."""
        self._require_place()
        entering("login")

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See ``protocol.Storage.list``."""
        checked_prefix(prefix)
        self._require_place()
        bound = ListingBound(f"listing {self._root / prefix}")
        pending = [prefix]
        while pending:
            directory = pending.pop()
            for name, entry in self._entries(directory):
                bound.take((name,))
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # deleted since the directory was read
                except OSError as error:
                    raise _as_storage_error(error, f"listing {self._root / name}") from error
                if stat.S_ISDIR(status.st_mode):
                    pending.append(f"{name}/")
                elif stat.S_ISREG(status.st_mode):
                    yield ObjectInfo(name, status.st_size, status.st_mtime)

    def list_children(self, prefix: str) -> Sequence[str]:
        """See ``protocol.Storage.list_children``."""
        checked_prefix(prefix)
        self._require_place()
        directories = [name for name, entry in self._entries(prefix) if entry.is_dir(follow_symlinks=False)]
        return sorted(name.rpartition("/")[2] for name in directories if holds_object(self, f"{name}/"))

    def unfinished(self) -> Sequence[ObjectInfo]:
        """See ``unfinished.ShowsUnfinished``."""
        found = []
        for name, entry in self._entries(f"{TEMPORARY}/"):
            with contextlib.suppress(FileNotFoundError):  # it was finished meanwhile
                status = entry.stat(follow_symlinks=False)
                found.append(ObjectInfo(name, status.st_size, status.st_mtime))
        return found

    def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """See ``protocol.Storage.get``."""
        path = self._root / checked_name(name)
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise self._lookup_error(error, name) from error
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise ObjectMissingError(name)
            end = status.st_size if length is None else min(status.st_size, offset + length)
            return self._read_range(handle, offset, end)
        except OSError as error:
            raise _as_storage_error(error, f"reading {path}") from error
        finally:
            os.close(handle)

    def stat(self, name: str) -> ObjectInfo:
        """See ``protocol.Storage.stat``."""
        path = self._root / checked_name(name)
        try:
            status = path.stat(follow_symlinks=False)
        except OSError as error:
            raise self._lookup_error(error, name) from error
        if not stat.S_ISREG(status.st_mode):
            raise ObjectMissingError(name)
        return ObjectInfo(name, status.st_size, status.st_mtime)

    def create(self, name: str, size_hint: int = 0) -> DirectoryWriter:
        """See ``protocol.Storage.create``; ``size_hint`` is of no use here."""
        del size_hint
        return DirectoryWriter(self, checked_name(name))

    def delete(self, names: Sequence[str]) -> None:
        """See ``protocol.Storage.delete``."""
        for name in names:
            path = self._root / checked_name(name)
            try:
                path.unlink()
            except _NOT_THERE:
                pass
            except OSError as error:
                raise _as_storage_error(error, f"deleting {path}") from error
        self._remove_empty({directory for name in names for directory in ancestors(name)})

    def close(self) -> None:
        """See ``protocol.Storage.close``: nothing is held open between calls."""

    def path_of(self, name: str) -> Path:
        """Return where ``name`` lies."""
        return self._root / name

    def make_directory(self, path: Path) -> set[Path]:
        """Make ``path`` and what it needs below the base; the base needs its parent.

        Returns the directories whose entries have changed, for the caller to sync.  Raises
        :class:`InvalidStorageError` naming the base if its parent is missing, and ``OSError``.
        """
        self._require_place()
        missing = []
        while not path.is_dir():
            missing.append(path)
            if path == self._root:
                break
            path = path.parent
        for directory in reversed(missing):
            directory.mkdir(exist_ok=True)
        return {directory.parent for directory in missing}

    def _require_place(self) -> None:
        """Raise :class:`InvalidStorageError` unless the base exists or could be made."""
        if not self._root.is_dir() and not self._root.parent.is_dir():
            raise InvalidStorageError(f"storage directory {self._root} does not exist")

    def _entries(self, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """Yield (name, entry) of the directory ``prefix``; nothing when it is missing."""
        try:
            with os.scandir(self._root / prefix) as entries:
                for entry in entries:
                    if prefix or entry.name != TEMPORARY:
                        yield f"{prefix}{entry.name}", entry
        except _NOT_THERE:
            return
        except OSError as error:
            raise _as_storage_error(error, f"listing {self._root / prefix}") from error

    def _lookup_error(self, error: OSError, name: str) -> Exception:
        if isinstance(error, _NOT_THERE):
            return ObjectMissingError(name)
        return _as_storage_error(error, f"reading {self._root / name}")

    def _remove_empty(self, directories: set[str]) -> None:
        """Remove those of ``directories`` that are empty, innermost first."""
        for directory in sorted(directories, key=len, reverse=True):
            try:
                (self._root / directory).rmdir()
            except _NOT_THERE:
                continue
            except OSError as error:
                if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                    raise _as_storage_error(error, f"removing {self._root / directory}") from error

    @staticmethod
    def _read_range(handle: int, offset: int, end: int) -> bytes:
        """Return the bytes from ``offset`` to ``end`` of an open file."""
        parts = []
        while offset < end and (part := os.pread(handle, end - offset, offset)):
            parts.append(part)
            offset += len(part)
        return b"".join(parts)


class DirectoryWriter:
    """One file on its way (implements ``protocol.ObjectWriter``)."""

    def __init__(self, storage: DirectoryStorage, name: str) -> None:
        self._storage = storage
        self._name = name
        self._size = 0
        self._temporary = storage.path_of(temporary_name())
        try:
            storage.make_directory(self._temporary.parent)
            self._handle = os.open(
                self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise _as_storage_error(error, f"writing {self._temporary}") from error

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See ``protocol.ObjectWriter.write``."""
        with memoryview(data).cast("B") as rest:
            done = 0
            while done < len(rest):
                try:
                    done += os.write(self._handle, rest[done:])
                except OSError as error:
                    raise _as_storage_error(error, f"writing {self._temporary}") from error
            self._size += done

    def commit(self) -> None:
        """See ``protocol.ObjectWriter.commit``."""
        target = self._storage.path_of(self._name)
        try:
            os.fsync(self._handle)
            if os.fstat(self._handle).st_size != self._size:
                raise TransferError(f"{self._temporary} is not as long as what was written")
            self._link(target)
        except FileExistsError as error:
            raise ObjectExistsError(self._name) from error
        except OSError as error:
            raise _as_storage_error(error, f"writing {target}") from error
        self.abort()

    def abort(self) -> None:
        """See ``protocol.ObjectWriter.abort``; also clears the temporary name after a commit."""
        if self._handle < 0:
            return
        os.close(self._handle)
        self._handle = -1
        with contextlib.suppress(OSError):
            self._temporary.unlink()

    def _link(self, target: Path) -> None:
        """Give the file its name; its directory may vanish between making and using it."""
        changed: set[Path] = set()
        for attempts_left in reversed(range(_LINKS)):
            try:
                changed |= self._storage.make_directory(target.parent)
                os.link(self._temporary, target)
                break
            except FileNotFoundError:
                if not attempts_left:
                    raise
        for directory in (target.parent, *changed):
            _sync_directory(directory)
