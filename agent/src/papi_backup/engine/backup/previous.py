# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The previous list: what an incremental is compared with, and what its chain already holds."""

from __future__ import annotations

import itertools
import stat
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from papi_backup.engine.backup.chunk_index import ChunkIndex
from papi_backup.engine.backup.walk import Found
from papi_backup.engine.format import FormatError
from papi_backup.engine.format.entries import BLOCK, CHARACTER, DIRECTORY, FIFO, FILE, SYMLINK, walk_key
from papi_backup.engine.format.leaf import LeafPage
from papi_backup.engine.format.references import Item, PageRef, SegmentRef
from papi_backup.engine.opened import WHOLE, ListShare, OpenedBackup, PageReader, SegmentCache
from papi_backup.engine.storage.protocol import Storage
from papi_backup.model.errors import CorruptedBackupError

RACY_NANOSECONDS = 2_000_000_000
"""A file changed this shortly before the previous scan, or after it, is read again."""
PARENT_SEGMENTS = 1 << 31
"""First of the job's own numbers for segments that earlier backups wrote."""
_DEAD_SHARE = 20
_TOGETHER = 1024
"""Chunks that are put into the index at once: others may look into it in between."""
_FORMAT = 0o170000
"""The bits of a mode that tell what kind of file it is."""
_FORMATS = {
    FILE: stat.S_IFREG,
    DIRECTORY: stat.S_IFDIR,
    SYMLINK: stat.S_IFLNK,
    FIFO: stat.S_IFIFO,
    CHARACTER: stat.S_IFCHR,
    BLOCK: stat.S_IFBLK,
}
_Signature = tuple[bytes, int, int, int, int, int]
"""Path, kind, ctime and mtime in nanoseconds, inode, size (0 but for files)."""


class PreviousRow(NamedTuple):
    """One row of one leaf page of the previous list."""

    leaf: LeafPage
    page: PageRef
    row: int


class Run(NamedTuple):
    """Neighbouring rows of one leaf page of the previous list, from ``start`` up to ``stop``."""

    leaf: LeafPage
    page: PageRef
    start: int
    stop: int


class PreviousList:
    """The file list of the parent backup."""

    def __init__(self, storage: Storage, opened: OpenedBackup, cache: SegmentCache | None) -> None:
        self.opened = opened
        self.reader = PageReader(storage, opened, cache)
        self._cache = cache
        self.sparse: frozenset[SegmentRef] = frozenset()

    def find_sparse_segments(self) -> bool:
        """Find segments less than half alive, when enough has died since this was last done.

        Their surviving content is stored anew, so that long chains restore nearly as fast as a
        full (docs/design.md, "Chains").  Returns whether it looked.
        """
        totals = self.opened.manifest.totals
        if totals.dead_bytes * _DEAD_SHARE <= totals.bytes:
            return False
        alive: dict[SegmentRef, int] = {}
        seen: set[tuple[SegmentRef, int]] = set()
        for item in contents(self.reader):
            if item.segment is not None and (item.segment, item.offset) not in seen:
                seen.add((item.segment, item.offset))
                alive[item.segment] = alive.get(item.segment, 0) + item.length
        self.sparse = frozenset(segment for segment, living in alive.items() if living * 2 < segment.raw_size)
        return True

    @property
    def chunks(self) -> KnownChunks:
        """What the chain holds already, but for what sparse segments hold."""
        return KnownChunks(self.opened, self._cache, self.sparse)

    def uses_sparse(self, leaf: LeafPage, row: int) -> bool:
        """Return whether a file's content lies partly in sparse segments."""
        return any(item.segment in self.sparse for item in self.reader.items(leaf.entry(row)))


def contents(reader: PageReader, share: ListShare = WHOLE) -> Iterator[Item]:
    """Yield all content of a list, or of a share of it, in no particular order."""
    for _page, leaf in reader.leaves(share):
        yield from leaf.items_of(0, len(leaf))
        for row in leaf.rows_with_item_pages():
            yield from reader.items(leaf.entry(row))


def list_damage(error: FormatError) -> CorruptedBackupError:
    """Return what is wrong with a list one of whose pages is: its items are looked at when they are used."""
    return CorruptedBackupError(f"The file list of the previous backup is damaged: {error}.")


class KnownChunks(NamedTuple):
    """The chunks of the previous list, which helpers read while the job compares (docs/architecture.md)."""

    opened: OpenedBackup
    cache: SegmentCache | None
    sparse: frozenset[SegmentRef]

    def fill(self, storage: Storage, index: ChunkIndex, share: ListShare) -> list[tuple[int, SegmentRef]]:
        """Put a share of them into the index; return the job's own number of each segment that they are in.

        Raises CorruptedBackupError for a damaged list, and what the storage raises.
        """
        numbers: dict[SegmentRef, int] = {}
        totals = self.opened.manifest.totals
        expected = totals.files + totals.bytes // self.opened.header.chunker.average
        placed = self._placed(PageReader(storage, self.opened, self.cache), numbers, share)
        try:
            while some := list(itertools.islice(placed, _TOGETHER)):
                index.add_all(some, expected)
        except FormatError as error:
            raise list_damage(error) from None
        return [(number, segment) for segment, number in numbers.items()]

    def _placed(
        self, reader: PageReader, numbers: dict[SegmentRef, int], share: ListShare
    ) -> Iterator[tuple[bytes, tuple[int, int]]]:
        sparse = self.sparse
        last, number = None, 0
        for segment, offset, _length, chunk_id in contents(reader, share):
            if segment is None:
                continue
            if segment is not last:
                if segment in sparse:
                    continue
                last = segment
                number = numbers.setdefault(
                    segment, PARENT_SEGMENTS + len(numbers) * share.shares + share.number
                )
            yield chunk_id, (number, offset)


class Comparison:
    """Follows the walk through the previous list, both being in the same order."""

    def __init__(self, previous: PreviousList) -> None:
        self._previous = previous
        self._leaves = previous.reader.leaves()
        self._racy_from = previous.opened.manifest.scan_started_ns - RACY_NANOSECONDS
        self._leaf: LeafPage | None = None
        self._page: PageRef | None = None
        self._row = 0
        self._signatures: list[_Signature | None] = []
        self.dead_bytes = 0

    def unchanged(self, found: Sequence[Found], start: int) -> Run | None:
        """Return the rows that what was found from ``start`` on is, untouched; None if the first is not.

        Nothing about such a file can have changed since (docs/sources.md, "When a file counts as changed").
        """
        if not self._align(found[start][0]):
            return None
        leaf, page, row = self._leaf, self._page, self._row
        first = row
        signatures = self._signatures
        for number in range(start, min(len(found), start + len(signatures) - row)):
            path, status = found[number]
            mode = status.st_mode
            if signatures[row] != (
                path,
                mode & _FORMAT,
                status.st_ctime_ns,
                status.st_mtime_ns,
                status.st_ino,
                status.st_size if mode & _FORMAT == stat.S_IFREG else 0,
            ):
                break
            row += 1
        if row == first or leaf is None or page is None:
            return None
        self._row = row
        return Run(leaf, page, first, row)

    def find(self, path: bytes) -> PreviousRow | None:
        """Return the previous row of ``path``; rows before it that the walk did not meet are gone."""
        if not self._align(path) or self._leaf is None or self._page is None:
            return None
        self._row += 1
        return PreviousRow(self._leaf, self._page, self._row - 1)

    def _align(self, path: bytes) -> bool:
        """Pass over rows that are gone; return whether the next row is that of ``path``."""
        while True:
            if self._leaf is None or self._row == len(self._leaf):
                if not self._next_leaf():
                    return False
                continue
            there = self._leaf.paths[self._row]
            if there == path:
                return True
            if walk_key(there) > walk_key(path):
                return False
            self.dead_bytes += self._leaf.sizes[self._row]
            self._row += 1

    def drain(self) -> None:
        """Count what is left of the previous list as gone."""
        if self._leaf is not None:
            self.dead_bytes += sum(self._leaf.sizes[self._row :])
        self.dead_bytes += sum(sum(page[1].sizes) for page in self._leaves)
        self._leaf = None

    def _next_leaf(self) -> bool:
        following = next(self._leaves, None)
        if following is None:
            self._leaf, self._signatures = None, []
            return False
        (self._page, self._leaf), self._row = following, 0
        self._signatures = self._signatures_of(self._leaf)
        return True

    def _signatures_of(self, leaf: LeafPage) -> list[_Signature | None]:
        """Return what each row is known by; None for rows that are read again whatever is found."""
        formats = [_FORMATS[kind] for kind in leaf.types]
        signatures: list[_Signature | None] = list(
            zip(leaf.paths, formats, leaf.ctimes, leaf.mtimes, leaf.inodes, leaf.sizes, strict=True)
        )
        if max(leaf.ctimes) >= self._racy_from:
            for row, changed in enumerate(leaf.ctimes):
                if changed >= self._racy_from:
                    signatures[row] = None
        for row in leaf.flagged_rows():
            signatures[row] = None
        if self._previous.sparse:
            for row, kind in enumerate(leaf.types):
                if kind == FILE and self._previous.uses_sparse(leaf, row):
                    signatures[row] = None
        return signatures
