# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Local copies of index segments, so that an incremental need not fetch the previous list.

Only a cache: every segment is verified against the manifest when it is used, and fetched again
when it is missing, cut, altered or stale (docs/design.md, "Chains").
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from papi_backup.engine.format.names import escape, escape_host
from papi_backup.engine.format.segment import Buffer
from papi_backup.host_paths import UnsafePathError, make_guarded, open_below, whose

log = logging.getLogger(__name__)

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class IndexCache:
    """One directory for one storage location, host and backup name.

    It is used only where its directories and files are this process's user's own and nobody else's to read
    or write; no link is followed.
    """

    def __init__(self, cache_dir: str, location: str, host_name: str, backup_name: str) -> None:
        place = hashlib.sha256(location.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        self._top = cache_dir
        self._below = os.path.join(place, escape_host(host_name), escape(backup_name))
        self._told = False

    def load(self, volume: str, offset: int, length: int) -> bytes | None:
        """Return the bytes of a cached segment, or None."""
        with self._opened(volume, _READ) as descriptor:
            if descriptor is None:
                return None
            try:
                data = os.pread(descriptor, length, offset)
            except OSError:
                return None
        return data if len(data) == length else None

    def store(self, volume: str, offset: int, sealed: Buffer) -> None:
        """Keep a segment; a full disk costs only time at the next incremental."""
        with contextlib.suppress(OSError, UnsafePathError):
            self._make()
            with self._opened(volume, _WRITE) as descriptor:
                if descriptor is not None:
                    os.pwrite(descriptor, sealed, offset)

    def keep_only(self, volumes: Iterable[str]) -> None:
        """Delete the copies of all other volumes."""
        wanted = {_name_of(volume) for volume in volumes}
        with contextlib.suppress(OSError), self._directory() as directory:
            if directory is None:
                return
            for name in os.listdir(directory):
                if name not in wanted:
                    os.unlink(name, dir_fd=directory)

    def _make(self) -> None:
        directory = Path(self._top, self._below)
        if not directory.is_dir():
            make_guarded(directory, 0o700, above=0o700)

    @contextlib.contextmanager
    def _opened(self, volume: str, flags: int) -> Iterator[int | None]:
        """Give an open copy; None where there is none or it is not to be trusted."""
        with self._directory() as directory:
            descriptor = None
            if directory is not None:
                with contextlib.suppress(OSError):
                    descriptor = os.open(_name_of(volume), flags, 0o600, dir_fd=directory)
            if descriptor is None:
                yield None
                return
            try:
                trusted = self._is_private(descriptor, stat.S_IFREG)
                yield descriptor if trusted else None
            finally:
                os.close(descriptor)

    @contextlib.contextmanager
    def _directory(self) -> Iterator[int | None]:
        """Give the directory; None where there is none or it is not to be trusted."""
        descriptor = None
        with contextlib.suppress(OSError):
            top = os.open(self._top, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                descriptor = open_below(top, os.fsencode(self._below), os.O_RDONLY)
            finally:
                os.close(top)
        if descriptor is None:
            yield None
            return
        try:
            yield descriptor if self._is_private(descriptor, stat.S_IFDIR) else None
        finally:
            os.close(descriptor)

    def _is_private(self, descriptor: int, kind: int) -> bool:
        status = os.fstat(descriptor)
        private = status.st_uid == os.geteuid() and not status.st_mode & _OTHERS
        if private and stat.S_IFMT(status.st_mode) == kind:
            return True
        if not self._told:
            self._told = True
            log.warning(
                "the local copies of file lists in %s/%s are not used: what is there belongs to %s with mode"
                " %04o; remove %s, it is made anew",
                self._top,
                self._below,
                whose(status.st_uid),
                stat.S_IMODE(status.st_mode),
                self._top,
            )
        return False


def _name_of(volume: str) -> str:
    chain, backup, kind, _thousand, number = volume.split("/")[-5:]
    return f"{chain}-{backup}-{kind}-{number}"
