# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the walk finds out about one thing on disk, and how that crosses from one process to another."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

_PACKED = struct.Struct("=QQQQQQqqqQ")


class FileStatus(Protocol):
    """What is used of ``os.stat_result``."""

    @property
    def st_mode(self) -> int: ...
    @property
    def st_ino(self) -> int: ...
    @property
    def st_dev(self) -> int: ...
    @property
    def st_nlink(self) -> int: ...
    @property
    def st_uid(self) -> int: ...
    @property
    def st_gid(self) -> int: ...
    @property
    def st_size(self) -> int: ...
    @property
    def st_mtime_ns(self) -> int: ...
    @property
    def st_ctime_ns(self) -> int: ...
    @property
    def st_rdev(self) -> int: ...


class SentStatus(NamedTuple):
    """A status from another process; its members are those of :class:`FileStatus`."""

    st_mode: int
    st_ino: int
    st_dev: int
    st_nlink: int
    st_uid: int
    st_gid: int
    st_size: int
    st_mtime_ns: int
    st_ctime_ns: int
    st_rdev: int


Statuses = bytes | list[SentStatus]
"""Several, packed; as they are where a number is too large for that, which a time can be."""


def pack(statuses: Sequence[FileStatus]) -> Statuses:
    """Return statuses as they cross."""
    try:
        return b"".join(itertools.starmap(_PACKED.pack, map(_members, statuses)))
    except struct.error:
        return [SentStatus(*_members(status)) for status in statuses]


def unpack(packed: Statuses) -> Iterable[SentStatus]:
    """Return what :func:`pack` was given."""
    return map(SentStatus._make, _PACKED.iter_unpack(packed)) if isinstance(packed, bytes) else packed


def _members(status: FileStatus) -> tuple[int, ...]:
    return (
        status.st_mode,
        status.st_ino,
        status.st_dev,
        status.st_nlink,
        status.st_uid,
        status.st_gid,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_rdev,
    )
