# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The storage that a backup is written to, where it lies in the very tree that is saved.

Each backup would have all earlier ones in it, and grow by as much.  A directory is the storage if backups of
this name lie in it, whatever way leads there; or, before the first backup, if an SSH server on this host has
it as its base.
"""

from __future__ import annotations

import os
import socket
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from papi_backup.engine.format.names import CATALOG, DATA, TEMPORARY, catalog_prefix, data_prefix
from papi_backup.model.job import BackupOrder
from papi_backup.model.storage import SshStorage

STORAGE_TEXT = "is the storage of this backup; the backups of this name that lie in it are left out"
_CHECK = "check/"
_CATALOG, _DATA, *_OTHERS = (name.rstrip("/").encode() for name in (CATALOG, DATA, TEMPORARY, _CHECK))
_NAMES = frozenset((_CATALOG, _DATA, *_OTHERS))
_ANYWHERE_PORT = 9
"""A datagram socket is not connected to anything in truth: it only tells the way."""


@dataclass(frozen=True, slots=True)
class OwnStorage:
    """How a directory is recognised as the storage.

    ``catalog`` and ``data`` are where it has backups of this name; ``base`` is device and inode number of
    where an SSH server of this host has it.
    """

    catalog: bytes = b""
    data: bytes = b""
    base: tuple[int, int] | None = None

    @classmethod
    def of(cls, order: BackupOrder) -> Self:
        """Return how the storage of a job would look in the file system of this host."""
        host, backup = order.host_name, order.backup_name
        return cls(
            os.fsencode(catalog_prefix(host, backup)), os.fsencode(data_prefix(host, backup)), _base_of(order)
        )

    def places_in(self, directory: int, identity: tuple[int, int], names: list[bytes]) -> tuple[bytes, ...]:
        """Return where backups of this name lie below an open directory, whose sorted names are given.

        Nothing else is of them: whoever may write there could make directories of such names.
        """
        if not self._is_here(directory, identity, names):
            return ()
        return self.catalog.rstrip(b"/"), self.data.rstrip(b"/")

    def _is_here(self, directory: int, identity: tuple[int, int], names: Sequence[bytes]) -> bool:
        if self.catalog and _has(names, _CATALOG) and _is_directory(self.catalog, directory):
            return True
        if self.data and _has(names, _DATA) and _is_directory(self.data, directory):
            return True
        # What a server that shows another tree calls so may be anything here.
        return identity == self.base and _NAMES.issuperset(names)


NOWHERE = OwnStorage()
"""No directory of this host is the storage."""


def _has(names: Sequence[bytes], name: bytes) -> bool:
    at = bisect_left(names, name)
    return at < len(names) and names[at] == name


def _is_directory(name: bytes, above: int) -> bool:
    try:
        os.close(os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above))
    except OSError:
        return False
    return True


def _base_of(order: BackupOrder) -> tuple[int, int] | None:
    storage = order.access.storage
    if not isinstance(storage, SshStorage):
        return None
    try:
        status = os.stat(storage.storage_base)
    except (OSError, ValueError):
        return None
    return (status.st_dev, status.st_ino) if _is_this_host(storage.server_name) else None


def _is_this_host(name: str) -> bool:
    """Whether the way to a server ends where it begins."""
    try:
        found = socket.getaddrinfo(name, _ANYWHERE_PORT, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        return False
    for family, kind, protocol, _canonical, address in found:
        try:
            with socket.socket(family, kind, protocol) as way:
                way.connect(address)
                if way.getsockname()[0] == address[0]:
                    return True
        except OSError:
            continue
    return False
