# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The previous list: what an incremental is compared with, and what its chain already holds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from papi_backup.engine.backup.chunk_index import ChunkIndex, Place
from papi_backup.engine.backup.files import type_of
from papi_backup.engine.format.entries import FILE, walk_key
from papi_backup.engine.format.leaf import LeafPage
from papi_backup.engine.format.references import Item, PageRef, SegmentRef
from papi_backup.engine.opened import OpenedBackup, PageReader, SegmentCache
from papi_backup.engine.storage.protocol import Storage

RACY_NANOSECONDS = 2_000_000_000
"""A file changed this shortly before the previous scan, or after it, is read again."""
PARENT_SEGMENTS = 1 << 31
"""First of the job's own numbers for segments that earlier backups wrote."""
_DEAD_SHARE = 20


class PreviousRow(NamedTuple):
    """One row of one leaf page of the previous list."""

    leaf: LeafPage
    page: PageRef
    row: int


class PreviousList:
    """The file list of the parent backup."""

    def __init__(self, storage: Storage, opened: OpenedBackup, cache: SegmentCache | None) -> None:
        self.opened = opened
        self.reader = PageReader(storage, opened, cache)
        self.segments: list[SegmentRef] = []
        self._numbers: dict[SegmentRef, int] = {}
        self.sparse: frozenset[SegmentRef] = frozenset()

    def number(self, segment: SegmentRef) -> int:
        """Return the job's own number of a segment that an earlier backup wrote."""
        number = self._numbers.get(segment)
        if number is None:
            number = self._numbers[segment] = PARENT_SEGMENTS + len(self.segments)
            self.segments.append(segment)
        return number

    def find_sparse_segments(self) -> bool:
        """Find segments less than half alive, when enough has died since this was last done.

        Their surviving content is stored anew, so that long chains restore nearly as fast as a
        full (design section 4).  Returns whether it looked.
        """
        totals = self.opened.manifest.totals
        if totals.dead_bytes * _DEAD_SHARE <= totals.bytes:
            return False
        alive: dict[SegmentRef, int] = {}
        seen: set[tuple[SegmentRef, int]] = set()
        for item in self._items():
            if item.segment is not None and (item.segment, item.offset) not in seen:
                seen.add((item.segment, item.offset))
                alive[item.segment] = alive.get(item.segment, 0) + item.length
        self.sparse = frozenset(segment for segment, living in alive.items() if living * 2 < segment.raw_size)
        return True

    def fill(self, index: ChunkIndex) -> None:
        """Put every chunk of the previous list into the index, sparse segments' apart."""
        for item in self._items():
            if item.segment is not None and item.segment not in self.sparse:
                index.add(item.chunk_id, Place(self.number(item.segment), item.offset))

    def uses_sparse(self, found: PreviousRow) -> bool:
        """Return whether a file's content lies partly in sparse segments."""
        if not self.sparse:
            return False
        entry = found.leaf.entry(found.row)
        return any(item.segment in self.sparse for item in self.reader.items(entry))

    def _items(self) -> Iterator[Item]:
        for leaf in (page[1] for page in self.reader.leaves()):
            for row, kind in enumerate(leaf.types):
                if kind != FILE:
                    continue
                if leaf.rare("lists", row):
                    yield from self.reader.items(leaf.entry(row))
                else:
                    yield from leaf.items(row)


class Comparison:
    """Follows the walk through the previous list, both being in the same order."""

    def __init__(self, previous: PreviousList) -> None:
        self._leaves = previous.reader.leaves()
        self._racy_from = previous.opened.manifest.scan_started_ns - RACY_NANOSECONDS
        self._leaf: LeafPage | None = None
        self._page: PageRef | None = None
        self._row = 0
        self.dead_bytes = 0

    def find(self, path: bytes) -> PreviousRow | None:
        """Return the previous row of ``path``; rows before it that the walk did not meet are gone."""
        while True:
            if self._leaf is None or self._row == len(self._leaf):
                following = next(self._leaves, None)
                if following is None:
                    self._leaf = None
                    return None
                (self._page, self._leaf), self._row = following, 0
                continue
            there = self._leaf.paths[self._row]
            if there != path:
                if walk_key(there) > walk_key(path):
                    return None
                self.dead_bytes += self._leaf.sizes[self._row]
                self._row += 1
                continue
            if self._page is None:
                raise RuntimeError("a leaf without its reference")
            found = PreviousRow(self._leaf, self._page, self._row)
            self._row += 1
            return found

    def unchanged(self, found: PreviousRow, status: os.stat_result) -> bool:
        """Return whether nothing about the file can have changed since (design section 5)."""
        leaf, row = found.leaf, found.row
        kind = leaf.types[row]
        return (
            leaf.ctimes[row] == status.st_ctime_ns
            and leaf.mtimes[row] == status.st_mtime_ns
            and leaf.inodes[row] == status.st_ino
            and kind == type_of(status.st_mode)
            and (kind != FILE or leaf.sizes[row] == status.st_size)
            and status.st_ctime_ns < self._racy_from
            and not leaf.rare("fl", row)
        )

    def drain(self) -> None:
        """Count what is left of the previous list as gone."""
        if self._leaf is not None:
            self.dead_bytes += sum(self._leaf.sizes[self._row :])
        self.dead_bytes += sum(sum(page[1].sizes) for page in self._leaves)
        self._leaf = None
