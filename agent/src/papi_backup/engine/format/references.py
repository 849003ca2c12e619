# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""References: where a segment lies, and where in it a chunk or page does (docs/format.md, "References")."""

from __future__ import annotations

import base64
from typing import Any, NamedTuple

from papi_backup.engine.format import FormatError
from papi_backup.engine.format.checked import ID, LARGEST_NUMBER, array, binary, identifier, number
from papi_backup.engine.format.segment import (
    LARGEST_SEALED,
    LARGEST_SEGMENT,
    SMALLEST_SEALED,
    TAG_SIZE,
)


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
    backups = [
        identifier(backup, "a segment table")
        for backup in array(document.get("backups"), "a table of backup ids")
    ]
    segments = []
    for row in array(document.get("segs"), "a segment table"):
        backup, volume, offset, length, raw_size, tag = array(row, "a segment reference", 6, 6)
        number(volume, "a segment reference")
        number(length, "a segment reference", SMALLEST_SEALED, LARGEST_SEALED)
        number(offset, "a segment reference", 0, LARGEST_NUMBER - length)
        number(raw_size, "a segment reference", 0, LARGEST_SEGMENT)
        segments.append(
            SegmentRef(
                backups[check_index(backup, len(backups))],
                volume,
                offset,
                length,
                raw_size,
                binary(tag, "a segment reference", TAG_SIZE),
            )
        )
    return segments


def check_number(value: Any, what: str) -> int:
    """Return a non-negative 63-bit integer or raise FormatError."""
    return number(value, f"a {what}")


def check_index(value: Any, size: int) -> int:
    """Return an index into a table of ``size`` rows or raise FormatError."""
    return number(value, "an index", 0, size - 1)


def encode_page_refs(table: SegmentTable, pages: list[PageRef] | tuple[PageRef, ...]) -> list[list[int]]:
    """Return page references as ``[segment, offset, length]`` rows over ``table``."""
    return [[table.index(page.segment), page.offset, page.length] for page in pages]


def decode_page_ref(row: Any, segments: list[SegmentRef]) -> PageRef:
    """Return the page reference that ``row`` begins with.  Raises FormatError."""
    index, offset, length = array(row, "a page reference", 3)[:3]
    segment = segments[check_index(index, len(segments))]
    number(length, "a page reference", 1, segment.raw_size)
    return PageRef(segment, number(offset, "a page reference", 0, segment.raw_size - length), length)


def decode_volume_range(row: Any) -> VolumeRange:
    """Return one range of volumes.  Raises FormatError."""
    kind, backup, first, last = array(row, "a volume range", 4, 4)
    if kind not in ("i", "d"):
        raise FormatError("a volume range is of an unknown kind")
    first = number(first, "a volume range")
    return VolumeRange(
        kind, identifier(backup, "a volume range"), first, number(last, "a volume range", first)
    )


__all__ = [
    "ID",
    "Item",
    "PageRef",
    "SegmentRef",
    "SegmentTable",
    "VolumeRange",
    "check_index",
    "check_number",
    "decode_page_ref",
    "decode_segments",
    "decode_volume_range",
    "encode_page_refs",
]
