# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do with one entry where something may exist already (docs/restoring.md, "overwrite")."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator

from papi_backup.engine.crypto import ChainKeys
from papi_backup.engine.format.entries import FIFO, FILE, SYMLINK, Entry
from papi_backup.engine.format.references import Item
from papi_backup.engine.restore.compare import same_content
from papi_backup.engine.restore.metadata import FORMATS
from papi_backup.engine.restore.tree import Found
from papi_backup.model.job import Overwrite

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_STAND_FOR = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class Judge:
    """Decides by one policy."""

    def __init__(
        self, overwrite: Overwrite, items_of: Callable[[Entry], Iterable[Item]], keys: ChainKeys
    ) -> None:
        self._overwrite = overwrite
        self._items_of = items_of
        self._keys = keys

    @contextlib.contextmanager
    def same(self, entry: Entry, found: Found | None) -> Iterator[int | None]:
        """Open what is already right but for its metadata; None where an entry must be written.

        The descriptor stands for the very thing that was compared, whatever its name leads to
        meanwhile: metadata belong on that and nothing else.  Raises CorruptedBackupError when the
        entry's list of content cannot be read.
        """
        descriptor = None
        if found is not None and self._overwrite == "changed" and _may_be_same(entry, found.status):
            descriptor = _opened(entry, found)
        if found is None or descriptor is None:
            yield None
            return
        try:
            yield descriptor if self._is_same(entry, found, descriptor) else None
        finally:
            os.close(descriptor)

    def _is_same(self, entry: Entry, found: Found, descriptor: int) -> bool:
        try:
            if entry.type == FILE and not same_content(descriptor, self._items_of(entry), self._keys):
                return False
            if entry.type == SYMLINK and os.readlink(b"", dir_fd=descriptor) != entry.link_target:
                return False
            status = os.fstat(descriptor)
        except OSError:
            return False  # what cannot be read cannot be trusted to be right
        return os.path.samestat(status, found.status) and _may_be_same(entry, status)


def _opened(entry: Entry, found: Found) -> int | None:
    flags = _READ if entry.type == FILE else _STAND_FOR
    try:
        return os.open(found.name, flags, dir_fd=found.place.descriptor)
    except OSError:
        return None


def _may_be_same(entry: Entry, status: os.stat_result) -> bool:
    """Return whether everything that a status tells, but for metadata, is as it should be."""
    if stat.S_IFMT(status.st_mode) != FORMATS[entry.type]:
        return False
    if status.st_nlink > 1 and not entry.link_group:
        return False  # changing its metadata would change what other names of it lead to
    if entry.type == FILE:
        return status.st_size == entry.size
    return entry.type in (SYMLINK, FIFO) or os.makedev(*(entry.device or (0, 0))) == status.st_rdev
