# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""References: where a segment lies, and where in it a chunk or page does (docs/format.md, "References")."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, NamedTuple

from papi_backup.engine.format import FormatError
from papi_backup.engine.format.segment import LARGEST_SEGMENT, TAG_SIZE

ID = re.compile("[0-9a-f]{16}", re.ASCII)


class SegmentRef(NamedTuple):
    """A sealed segment: the backup that wrote it, its volume, its place there, its raw size, its MAC."""

    backup: str
    volume: int
    offset: int
    length: int
    raw_size: int
    tag: bytes


class PageRef(NamedTuple):
    """A page inside a segment of an ``i`` volume."""

    segment: SegmentRef
    offset: int
    length: int


class Item(NamedTuple):
    """A piece of a file's content; ``segment`` None is a hole of ``length`` zero bytes."""

    segment: SegmentRef | None
    offset: int
    length: int
    chunk_id: bytes


class VolumeRange(NamedTuple):
    """Volumes ``first``..``last`` of one backup and kind; those that do not exist are not meant."""

    kind: str
    backup: str
    first: int
    last: int


class SegmentTable:
    """The segments one page refers to, each written once."""

    def __init__(self) -> None:
        self._backups: dict[str, int] = {}
        self._segments: dict[SegmentRef, int] = {}

    def index(self, segment: SegmentRef) -> int:
        """Return the segment's number in this table, adding it when new."""
        index = self._segments.get(segment)
        if index is None:
            self._backups.setdefault(segment.backup, len(self._backups))
            index = self._segments[segment] = len(self._segments)
        return index

    def encode(self) -> dict[str, Any]:
        """Return the JSON members ``backups`` and ``segs``."""
        return {
            "backups": list(self._backups),
            "segs": [
                [
                    self._backups[segment.backup],
                    segment.volume,
                    segment.offset,
                    segment.length,
                    segment.raw_size,
                    base64.b64encode(segment.tag).decode(),
                ]
                for segment in self._segments
            ],
        }


def decode_segments(document: dict[str, Any]) -> list[SegmentRef]:
    """Return a page's segment table.  Raises FormatError."""
    backups = document["backups"]
    if not all(isinstance(backup, str) and ID.fullmatch(backup) for backup in backups):
        raise FormatError("a segment table names a malformed backup id")
    segments = []
    for backup, volume, offset, length, raw_size, tag in document["segs"]:
        for number in (volume, offset, length, raw_size):
            check_number(number, "segment reference")
        if raw_size > LARGEST_SEGMENT:
            raise FormatError("a segment reference exceeds the largest segment")
        segments.append(
            SegmentRef(
                backups[check_index(backup, len(backups))], volume, offset, length, raw_size, _tag(tag)
            )
        )
    return segments


def check_number(value: Any, what: str) -> int:
    """Return a non-negative 63-bit integer or raise FormatError."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise FormatError(f"a {what} holds {value!r} where a number belongs")
    return value


def check_index(value: Any, size: int) -> int:
    """Return an index into a table of ``size`` rows or raise FormatError."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < size:
        raise FormatError(f"{value!r} is no row of a table of {size}")
    return value


def encode_page_refs(table: SegmentTable, pages: list[PageRef] | tuple[PageRef, ...]) -> list[list[int]]:
    """Return page references as ``[segment, offset, length]`` rows over ``table``."""
    return [[table.index(page.segment), page.offset, page.length] for page in pages]


def decode_page_ref(row: Any, segments: list[SegmentRef]) -> PageRef:
    """Return one page reference.  Raises FormatError."""
    if not isinstance(row, list) or len(row) < 3:
        raise FormatError("a page reference is malformed")
    segment = segments[check_index(row[0], len(segments))]
    offset, length = check_number(row[1], "page reference"), check_number(row[2], "page reference")
    if offset + length > segment.raw_size:
        raise FormatError("a page reference reaches beyond its segment")
    return PageRef(segment, offset, length)


def _tag(text: Any) -> bytes:
    try:
        tag = base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError):
        tag = b""
    if len(tag) != TAG_SIZE:
        raise FormatError("a segment reference has a malformed MAC")
    return tag
