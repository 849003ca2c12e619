# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do with one entry where something may exist already (wire.md: ``overwrite``)."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable
from typing import Literal

from papi_backup.engine.crypto import ChainKeys
from papi_backup.engine.format.entries import BLOCK, CHARACTER, DIRECTORY, FIFO, FILE, SYMLINK, Entry
from papi_backup.engine.format.references import Item
from papi_backup.engine.restore.compare import same_content
from papi_backup.engine.restore.tree import Found
from papi_backup.model.job import Overwrite

Verdict = Literal["create", "replace", "same", "keep"]
"""``same``: what is there is already right but for its metadata; ``keep``: it is left alone."""

_FORMATS = {
    FILE: stat.S_IFREG,
    DIRECTORY: stat.S_IFDIR,
    SYMLINK: stat.S_IFLNK,
    FIFO: stat.S_IFIFO,
    CHARACTER: stat.S_IFCHR,
    BLOCK: stat.S_IFBLK,
}
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Judge:
    """Decides by one policy."""

    def __init__(
        self, overwrite: Overwrite, items_of: Callable[[Entry], Iterable[Item]], keys: ChainKeys
    ) -> None:
        self._overwrite = overwrite
        self._items_of = items_of
        self._keys = keys

    def verdict(self, entry: Entry, found: Found | None) -> Verdict:
        """Return what a restore does with an entry that is no directory; ``found`` is at its place now.

        Raises CorruptedBackupError when the entry's list of content cannot be read.
        """
        if found is None:
            return "create"
        if self._overwrite in ("never", "fail"):
            return "keep"
        return "same" if self._overwrite == "changed" and self._is_same(entry, found) else "replace"

    def _is_same(self, entry: Entry, found: Found) -> bool:
        status = found.status
        if stat.S_IFMT(status.st_mode) != _FORMATS[entry.type]:
            return False
        if status.st_nlink > 1 and not entry.link_group:
            return False  # changing its metadata would change what other names of it lead to
        if entry.type == FILE:
            return status.st_size == entry.size and self._is_same_file(entry, found)
        if entry.type == SYMLINK:
            with contextlib.suppress(OSError):
                return os.readlink(found.name, dir_fd=found.place.descriptor) == entry.link_target
            return False
        return entry.type == FIFO or os.makedev(*(entry.device or (0, 0))) == status.st_rdev

    def _is_same_file(self, entry: Entry, found: Found) -> bool:
        try:
            descriptor = os.open(found.name, _READ, dir_fd=found.place.descriptor)
        except OSError:
            return False  # what cannot be read cannot be trusted to be right
        try:
            return same_content(descriptor, self._items_of(entry), self._keys)
        except OSError:
            return False
        finally:
            os.close(descriptor)
