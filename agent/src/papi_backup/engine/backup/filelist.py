# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Assembles the file list while its contents are still being read elsewhere (design section 4)."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from papi_backup.engine.backup.content import HOLE, Piece, ReadFile
from papi_backup.engine.backup.files import Owners
from papi_backup.engine.backup.previous import PARENT_SEGMENTS, PreviousList, PreviousRow
from papi_backup.engine.backup.tree import IndexWriter, PendingPage, build_tree
from papi_backup.engine.format.entries import CHANGED_WHILE_READ, FILE, MOST_ITEMS, Entry
from papi_backup.engine.format.leaf import encode_leaf
from papi_backup.engine.format.names import CONTENT, INDEX
from papi_backup.engine.format.pages import (
    LARGEST_LEAF,
    LEAF_ENTRIES,
    LEAST_LEAF_ENTRIES,
    MOST_LEAF_ENTRIES,
    Child,
)
from papi_backup.engine.format.references import Item, PageRef, SegmentRef, VolumeRange

_ENTRY_BYTES = 120
"""Rough bytes of one entry in a page besides its name."""
VolumeKey = tuple[str, str, int]
"""(backup, kind, number), as in :class:`Volume`."""


class Identity(NamedTuple):
    """What tells a file of the walk from another that got its name, or its inode number, later."""

    inode: int
    ctime_ns: int
    mtime_ns: int
    size: int


def identity_in(file: ReadFile) -> Identity | None:
    """Return the identity of what was read; None when nothing was."""
    facts = file.facts
    return Identity(facts.inode, facts.ctime_ns, facts.mtime_ns, facts.size) if facts else None


@dataclass(slots=True)
class Content:
    """The content of one name on its way.

    ``others`` are further names of the same file: what is read by this name is theirs too, if it is
    still what the walk found, by ``identity``.
    """

    path: bytes
    identity: Identity
    result: ReadFile | None = None
    others: list[Content] = field(default_factory=list)

    def is_read(self) -> bool:
        """Return whether the result is of the very file, unchanged, that the walk found."""
        return self.result is not None and identity_in(self.result) == self.identity


@dataclass(slots=True)
class Row:
    """A row of the new list: kept from the previous one, or fresh."""

    path: bytes
    previous: PreviousRow | None = None
    entry: Entry | None = None
    content: Content | None = None


@dataclass(slots=True)
class _Leaf:
    rows: list[Row] = field(default_factory=list)
    size: int = 0
    complete: int = 0
    children: list[tuple[PageRef | PendingPage, bytes, int]] = field(default_factory=list)


@dataclass(slots=True)
class Counts:
    """Counts over the new list."""

    entries: int = 0
    files: int = 0
    bytes: int = 0


class FileListWriter:
    """Takes rows in walk order and writes leaf pages as soon as all they refer to is sealed."""

    def __init__(
        self,
        index: IndexWriter,
        previous: PreviousList | None,
        warn: Callable[[bytes, str], None],
    ) -> None:
        self._index = index
        self._previous = previous
        self._warn = warn
        self._owners = Owners()
        self._current = _Leaf()
        self._pending: list[_Leaf] = []
        self._leaves: list[_Leaf] = []
        self._dead_bytes = 0
        self.segments: dict[int, SegmentRef] = {}
        self.counts = Counts()
        self.needed: set[VolumeKey] = set()
        self._ranges: set[VolumeRange] = set()

    @property
    def dead_bytes(self) -> int:
        """Bytes of the previous list's files whose content has changed or could not be read."""
        return self._dead_bytes

    def add(self, row: Row) -> None:
        """Append the next row."""
        leaf = self._current
        leaf.rows.append(row)
        leaf.size += len(row.path) + _ENTRY_BYTES
        count = len(leaf.rows)
        boundary = zlib.crc32(row.path) % LEAF_ENTRIES == 0 and count >= LEAST_LEAF_ENTRIES
        if boundary or count >= MOST_LEAF_ENTRIES or leaf.size >= LARGEST_LEAF:
            self._close(leaf)
            self.pump()

    def _close(self, leaf: _Leaf) -> None:
        self._pending.append(leaf)
        self._leaves.append(leaf)
        self._current = _Leaf()

    def pump(self) -> None:
        """Write the leaves that are complete, in whatever order they become so."""
        waiting = []
        for leaf in self._pending:
            if self._complete(leaf):
                self._write(leaf)
                leaf.rows = []
            else:
                waiting.append(leaf)
        self._pending = waiting

    def finish(self) -> PageRef | None:
        """Write what is left and the tree; everything must have been read and sealed."""
        self._close(self._current)
        self.pump()
        if self._pending:
            raise RuntimeError("a leaf waits for a segment that nobody sealed")
        self._index.flush()
        children = [
            Child(self._index.resolve(page) if isinstance(page, PendingPage) else page, first, entries)
            for leaf in self._leaves
            for page, first, entries in leaf.children
        ]
        known = self._previous.reader.nodes if self._previous else {}
        return build_tree(children, self._index, known, self._use_page)

    def needs(self, volume: VolumeKey) -> bool:
        """Return whether the new list needs a volume."""
        backup, kind, number = volume
        return volume in self.needed or any(
            spread.kind == kind and spread.backup == backup and spread.first <= number <= spread.last
            for spread in self._ranges
        )

    def _complete(self, leaf: _Leaf) -> bool:
        while leaf.complete < len(leaf.rows):
            content = leaf.rows[leaf.complete].content
            if content is not None and not self._sealed(content):
                return False
            leaf.complete += 1
        return True

    def _sealed(self, content: Content) -> bool:
        if content.result is None:
            return False
        return all(
            piece.segment == HOLE or piece.segment >= PARENT_SEGMENTS or piece.segment in self.segments
            for piece in content.result.pieces
        )

    def _write(self, leaf: _Leaf) -> None:
        whole = self._reusable(leaf)
        if whole is not None:
            self._keep(leaf, whole)
            return
        entries = [entry for entry in map(self._entry, leaf.rows) if entry is not None]
        if not entries:
            return
        same = self._same(leaf, entries)
        if same is not None:
            self._keep(leaf, same)
            return
        for entry in entries:
            self._count(entry.type, entry.size)
            for item in entry.items:
                if item.segment is not None:
                    self.needed.add((item.segment.backup, CONTENT, item.segment.volume))
            if entry.item_pages is not None:
                self._use_page(entry.item_pages)
                self._ranges.update(entry.item_volumes)
        self._emit(leaf, entries)

    def _emit(self, leaf: _Leaf, entries: list[Entry]) -> None:
        """Write entries as one leaf, or as several where one would not fit a segment."""
        page = encode_leaf(entries)
        if len(page) > self._index.largest_page and len(entries) > 1:
            middle = len(entries) // 2
            self._emit(leaf, entries[:middle])
            self._emit(leaf, entries[middle:])
            return
        if len(page) > self._index.largest_page:
            self._warn(entries[0].path[:200], "its name and attributes are too large for the file list")
            return
        leaf.children.append((self._index.add(page), entries[0].path, len(entries)))

    def _reusable(self, leaf: _Leaf) -> PreviousRow | None:
        """Return a row of the previous leaf that this leaf is, untouched, or None."""
        if not leaf.rows or any(row.entry is not None for row in leaf.rows):
            return None
        return self._whole(leaf)

    @staticmethod
    def _whole(leaf: _Leaf) -> PreviousRow | None:
        first = leaf.rows[0].previous
        if first is None or first.row != 0 or len(first.leaf) != len(leaf.rows):
            return None
        for row in leaf.rows:
            if row.previous is None or row.previous.page != first.page:
                return None
        return first

    def _same(self, leaf: _Leaf, entries: list[Entry]) -> PreviousRow | None:
        """Return the previous leaf if reading again found nothing new."""
        whole = self._whole(leaf)
        if whole is None or len(entries) != len(whole.leaf):
            return None
        for row, entry in zip(leaf.rows, entries, strict=True):
            if row.entry is not None and (
                row.previous is None or row.previous.leaf.entry(row.previous.row) != entry
            ):
                return None
        return whole

    def _keep(self, into: _Leaf, found: PreviousRow) -> None:
        leaf = found.leaf
        for kind, size in zip(leaf.types, leaf.sizes, strict=True):
            self._count(kind, size)
        index_segments: set[SegmentRef] = set()
        for row in leaf.rows_with_item_pages():
            entry = leaf.entry(row)
            if entry.item_pages is not None:
                index_segments.add(entry.item_pages.segment)
                self._use_page(entry.item_pages)
            self._ranges.update(entry.item_volumes)
        for segment in leaf.segments:
            if segment not in index_segments:
                self.needed.add((segment.backup, CONTENT, segment.volume))
        into.children.append((found.page, leaf.paths[0], len(leaf)))

    def _use_page(self, page: PageRef) -> None:
        self.needed.add((page.segment.backup, INDEX, page.segment.volume))

    def _count(self, kind: str, size: int) -> None:
        self.counts.entries += 1
        if kind == FILE:
            self.counts.files += 1
            self.counts.bytes += size

    def _entry(self, row: Row) -> Entry | None:
        if row.entry is None:
            return row.previous.leaf.entry(row.previous.row) if row.previous else None
        if row.content is None or row.content.result is None:
            entry: Entry | None = row.entry
        else:
            entry = self._with_content(row.entry, row.content.result, row.previous)
        if row.previous is not None:
            before = row.previous.leaf.entry(row.previous.row)
            if entry is None or (entry.items, entry.item_pages) != (before.items, before.item_pages):
                self._dead_bytes += before.size
        return entry

    def _with_content(self, entry: Entry, result: ReadFile, previous: PreviousRow | None) -> Entry | None:
        if result.facts is None:
            if not result.vanished:
                self._warn(entry.path, result.error)
            return None
        facts = result.facts
        entry.mode = facts.mode & 0o7777
        entry.owner = self._owners.of(facts.uid, facts.gid)
        if facts.inode != entry.inode:
            entry.link_group = ""  # another file took the name since it was found
        entry.size, entry.inode = facts.size, facts.inode
        entry.mtime_ns, entry.ctime_ns = facts.mtime_ns, facts.ctime_ns
        entry.xattrs = result.xattrs
        if result.warning:
            self._warn(entry.path, result.warning)
        if result.changed:
            entry.flags = (*entry.flags, CHANGED_WHILE_READ)
            self._warn(entry.path, "changed while it was read")
        items = [self._item(piece) for piece in result.pieces]
        if len(items) <= MOST_ITEMS:
            entry.items = items
        else:
            self._write_items(entry, items, previous)
        return entry

    def _item(self, piece: Piece) -> Item:
        if piece.segment == HOLE:
            return Item(None, 0, piece.length, piece.chunk_id)
        if piece.segment < PARENT_SEGMENTS:
            return Item(self.segments[piece.segment], piece.offset, piece.length, piece.chunk_id)
        if self._previous is None:
            raise RuntimeError("a piece of a previous list that does not exist")
        segment = self._previous.segments[piece.segment - PARENT_SEGMENTS]
        return Item(segment, piece.offset, piece.length, piece.chunk_id)

    def _write_items(self, entry: Entry, items: list[Item], previous: PreviousRow | None) -> None:
        if previous is not None and self._previous is not None:
            before = previous.leaf.entry(previous.row)
            if before.item_pages is not None and list(self._previous.reader.items(before)) == items:
                entry.item_pages, entry.item_volumes = before.item_pages, before.item_volumes
                return
        pages: set[SegmentRef] = set()
        entry.item_pages = self._index.write_items(items, pages.add)
        ranges: dict[tuple[str, str], tuple[int, int]] = {}
        used = [(CONTENT, item.segment) for item in items] + [(INDEX, segment) for segment in pages]
        for kind, segment in used:
            if segment is not None:
                low, high = ranges.get((kind, segment.backup), (segment.volume, segment.volume))
                ranges[kind, segment.backup] = (min(low, segment.volume), max(high, segment.volume))
        entry.item_volumes = tuple(
            VolumeRange(kind, backup, low, high) for (kind, backup), (low, high) in sorted(ranges.items())
        )
