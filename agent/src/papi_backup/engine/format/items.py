# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The content items of one page: columns that are checked as wholes (docs/format.md, "leaf: files")."""

from __future__ import annotations

from itertools import accumulate
from operator import add, gt
from typing import Any

from papi_backup.engine.format import FormatError
from papi_backup.engine.format.checked import binary, numbers
from papi_backup.engine.format.references import Item, SegmentRef

ID_SIZE = 16
HOLE = -1
_ZERO_ID = bytes(ID_SIZE)


class ItemTable:
    """Items by number.  ``indexes`` are into ``segments``, or HOLE; offsets and lengths in bytes.

    Making one raises FormatError unless each item is of at least one byte and within its segment.
    """

    __slots__ = ("_ids", "_stored_before", "indexes", "lengths", "offsets", "segments")

    def __init__(self, document: dict[str, Any], segments: list[SegmentRef]) -> None:
        self.segments = segments
        self.indexes = numbers(document.get("sg"), "an item column", HOLE, len(segments) - 1)
        self.offsets = numbers(document.get("of"), "an item column")
        self.lengths = numbers(document.get("ln"), "an item column", 1)
        self._ids = binary(document.get("ids"), "chunk ids")
        if not len(self.indexes) == len(self.offsets) == len(self.lengths):
            raise FormatError("item columns differ in length")
        holes = self.indexes.count(HOLE)
        if len(self._ids) != (len(self) - holes) * ID_SIZE:
            raise FormatError("chunk ids and content items differ in number")
        self._stored_before: list[int] = []
        """How many of the items before each are no holes; empty where none is a hole."""
        if holes:
            self._stored_before = [0, *accumulate(index != HOLE for index in self.indexes)]
        ends = list(map(add, self.offsets, self.lengths))
        room = [segment.raw_size for segment in segments]
        if holes:  # which begin nowhere
            bounds = [
                length if index == HOLE else room[index]
                for index, length in zip(self.indexes, self.lengths, strict=True)
            ]
        else:
            bounds = list(map(room.__getitem__, self.indexes))
        if any(map(gt, ends, bounds)):
            raise FormatError("a content item reaches beyond its segment")

    def __len__(self) -> int:
        return len(self.indexes)

    def items(self, start: int, stop: int) -> list[Item]:
        """Return the items from ``start`` up to ``stop``."""
        ids = self.ids(start, stop)
        chunk_ids = [ids[place : place + ID_SIZE] for place in range(0, len(ids), ID_SIZE)]
        indexes, offsets, lengths = (
            column[start:stop] for column in (self.indexes, self.offsets, self.lengths)
        )
        if not self._stored_before:
            return list(map(Item, map(self.segments.__getitem__, indexes), offsets, lengths, chunk_ids))
        stored = iter(chunk_ids)
        return [
            Item(None, offset, length, _ZERO_ID)
            if index == HOLE
            else Item(self.segments[index], offset, length, next(stored))
            for index, offset, length in zip(indexes, offsets, lengths, strict=True)
        ]

    def ids(self, start: int, stop: int) -> bytes:
        """Return the chunk ids of the items from ``start`` up to ``stop``, which holes have not."""
        if self._stored_before:
            start, stop = self._stored_before[start], self._stored_before[stop]
        return self._ids[start * ID_SIZE : stop * ID_SIZE]

    def segments_of(self, start: int, stop: int) -> set[SegmentRef]:
        """Return the segments that the items from ``start`` up to ``stop`` lie in."""
        return {self.segments[index] for index in set(self.indexes[start:stop]) if index != HOLE}
