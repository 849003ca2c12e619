# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What reading a file gave, and how it crosses from a helper to the job."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import NamedTuple

from papi_backup.engine.format.entries import Entry

HOLE = -1
"""Segment number of a hole."""
_VANISHED = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ESTALE))


class Piece(NamedTuple):
    """A piece of content by the job's own segment numbers; a hole has segment -1."""

    segment: int
    offset: int
    length: int
    chunk_id: bytes


class Facts(NamedTuple):
    """What fstat told of a file; ``size`` is what was read of it."""

    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Facts:
        """Return the facts of one fstat."""
        return cls(
            status.st_mode,
            status.st_uid,
            status.st_gid,
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
            status.st_ino,
        )


class ReadFile(NamedTuple):
    """What reading a file gave.  ``error`` names why nothing could be read; empty when it was.

    ``instead`` is what has the name by now, if that is no file.
    """

    facts: Facts | None
    pieces: Sequence[Piece]
    xattrs: dict[bytes, bytes]
    bytes_read: int
    changed: bool = False
    vanished: bool = False
    error: str = ""
    warning: str = ""
    instead: Entry | None = None


GONE = ReadFile(None, (), {}, 0, vanished=True)
"""Nothing has the name any more."""


def unread(error: OSError) -> ReadFile:
    """Return that a file could not be read, and why."""
    text = error.strerror or type(error).__name__
    return ReadFile(None, [], {}, 0, vanished=error.errno in _VANISHED, error=text)


class PackedReadings(NamedTuple):
    """Readings of one batch as plain tuples: a named one costs a call of Python on either side."""

    facts: list[tuple[int, ...] | None]
    pieces: list[tuple[tuple[object, ...], ...]]
    rest: dict[int, tuple[dict[bytes, bytes], int, bool, bool, str, str, Entry | None]]
    """By place in the batch, the other members of what is not simply read."""


def pack(files: Sequence[ReadFile]) -> PackedReadings:
    """Return readings in the form in which they cross."""
    return PackedReadings(
        [None if file.facts is None else tuple(file.facts) for file in files],
        [tuple(map(tuple, file.pieces)) for file in files],
        {number: file[2:] for number, file in enumerate(files) if not _is_simple(file)},
    )


def unpack(packed: PackedReadings) -> list[ReadFile]:
    """Undo :func:`pack`."""
    files = []
    for number, (facts, plain) in enumerate(zip(packed.facts, packed.pieces, strict=True)):
        pieces = tuple(map(Piece._make, plain))
        known = None if facts is None else Facts._make(facts)
        rest = packed.rest.get(number)
        if rest is None:
            files.append(ReadFile(known, pieces, {}, 0 if known is None else known.size))
        else:
            files.append(ReadFile(known, pieces, *rest))
    return files


def _is_simple(file: ReadFile) -> bool:
    """Whether facts and pieces tell everything: read once, whole, without a hole."""
    facts = file.facts
    return (
        facts is not None
        and file.bytes_read == facts.size
        and not (file.xattrs or file.changed or file.vanished or file.error or file.warning)
    )
