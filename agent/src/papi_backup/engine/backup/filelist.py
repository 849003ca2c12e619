# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Assembles the file list while its contents are still being read elsewhere."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from papi_backup.engine.backup.files import Owners
from papi_backup.engine.backup.previous import PreviousList, PreviousRow, Run
from papi_backup.engine.backup.readings import HOLE, Facts, Piece, ReadFile
from papi_backup.engine.backup.rows import Content, Row
from papi_backup.engine.backup.tree import IndexWriter, PendingPage, build_tree
from papi_backup.engine.format.entries import CHANGED_WHILE_READ, FILE, MOST_ITEMS, Entry
from papi_backup.engine.format.leaf_encoding import LeafEncoder
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


Part = Entry | Run
"""What a page is made of: fresh entries, and rows of the previous list."""


@dataclass(slots=True)
class _Leaf:
    rows: list[Row | Run] = field(default_factory=list)
    count: int = 0
    size: int = 0
    complete: int = 0
    children: list[tuple[PageRef | PendingPage, bytes, int]] = field(default_factory=list)

    def kept_so_far(self) -> Run | None:
        """Return the one run that it consists of, if it began where a previous leaf begins."""
        if len(self.rows) != 1:
            return None
        run = self.rows[0]
        return run if isinstance(run, Run) and run.start == 0 else None


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
        self.waiting = 0
        """Rows of closed leaves that wait for contents or for segments to be sealed."""
        self._leaves: list[_Leaf] = []
        self._dead_bytes = 0
        self.segments: dict[int, SegmentRef] = {}
        """By the job's own numbers: what it has sealed, and what earlier backups did that it refers to."""
        self.counts = Counts()
        self.needed: set[VolumeKey] = set()
        self._ranges: set[VolumeRange] = set()

    @property
    def dead_bytes(self) -> int:
        """Bytes of the previous list's files whose content has changed or could not be read."""
        return self._dead_bytes

    def add(self, row: Row) -> None:
        """Append a fresh row."""
        self._current.rows.append(row)
        self._count_row(row.path)

    def keep(self, run: Run) -> None:
        """Append rows of the previous list as they are."""
        leaf = self._current
        before = leaf.kept_so_far()
        if before is not None and before.leaf is run.leaf and before.stop == run.start:
            leaf.rows[0] = run._replace(start=0)
        elif not leaf.rows and run.start == 0:
            leaf.rows.append(run)
        else:
            self._keep_singly(run)
            return
        # As far as a leaf is the previous one, it cannot end before that.
        paths = run.leaf.paths
        leaf.count += run.stop - run.start
        leaf.size += sum(map(len, paths[run.start : run.stop])) + _ENTRY_BYTES * (run.stop - run.start)
        if run.stop == len(paths) and self._ends(leaf, paths[-1]):
            self._close(leaf)
            self.pump()

    def _keep_singly(self, run: Run) -> None:
        """Append a run that may begin or end in the middle of a new leaf."""
        start = run.start
        for row in range(run.start, run.stop):
            leaf = self._current
            if row == start:
                leaf.rows.append(run)
            leaf.rows[-1] = run._replace(start=start, stop=row + 1)
            if self._count_row(run.leaf.paths[row]):
                start = row + 1

    def _count_row(self, path: bytes) -> bool:
        """Count a row that was appended; return whether it ended the leaf."""
        leaf = self._current
        leaf.count += 1
        leaf.size += len(path) + _ENTRY_BYTES
        if not self._ends(leaf, path):
            return False
        self._close(leaf)
        self.pump()
        return True

    @staticmethod
    def _ends(leaf: _Leaf, path: bytes) -> bool:
        """Return whether a leaf ends behind ``path``, its last row."""
        boundary = zlib.crc32(path) % LEAF_ENTRIES == 0 and leaf.count >= LEAST_LEAF_ENTRIES
        return boundary or leaf.count >= MOST_LEAF_ENTRIES or leaf.size >= LARGEST_LEAF

    def _close(self, leaf: _Leaf) -> None:
        self._pending.append(leaf)
        self.waiting += leaf.count
        self._leaves.append(leaf)
        self._current = _Leaf()

    def pump(self) -> None:
        """Write the leaves that are complete, in whatever order they become so."""
        waiting = []
        for leaf in self._pending:
            if self._complete(leaf):
                self._write(leaf)
                self.waiting -= leaf.count
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
        rows = leaf.rows
        while leaf.complete < len(rows):
            row = rows[leaf.complete]
            if isinstance(row, Row) and row.content is not None and not self._sealed(row.content):
                return False
            leaf.complete += 1
        return True

    def _sealed(self, content: Content) -> bool:
        if content.result is None:
            return False
        for piece in content.result.pieces:
            segment = piece.segment
            if segment != HOLE and segment not in self.segments:
                return False
        return not content.below or all(
            row.content is None or self._sealed(row.content) for row in content.below
        )

    def _write(self, leaf: _Leaf) -> None:
        parts: list[Part] = []
        for row in leaf.rows:
            if isinstance(row, Run):
                parts.append(row)
            else:
                parts.extend(self._entries(row))
        if not parts:
            return
        same = self._same(leaf.rows, parts)
        if same is not None:
            self._keep(leaf, same)
            return
        for part in parts:
            if isinstance(part, Run):
                self._use_run(part)
            else:
                self._use_entry(part)
        self._emit(leaf, parts)

    def _emit(self, leaf: _Leaf, parts: list[Part]) -> None:
        """Write parts as one leaf, or as several where one would not fit a segment."""
        encoder = LeafEncoder()
        for part in parts:
            if isinstance(part, Run):
                encoder.extend(part.leaf, part.start, part.stop)
            else:
                encoder.add(part)
        page = encoder.encode()
        if len(page) > self._index.largest_page and len(encoder) > 1:
            for half in _halves(parts, len(encoder) // 2):
                self._emit(leaf, half)
            return
        first = _first_path(parts[0])
        if len(page) > self._index.largest_page:
            self._warn(first[:200], "its name and attributes are too large for the file list")
            return
        leaf.children.append((self._index.add(page), first, len(encoder)))

    @staticmethod
    def _same(rows: list[Row | Run], parts: list[Part]) -> Run | None:
        """Return the whole previous leaf if these rows are that; also if reading again found nothing new."""
        first = rows[0] if isinstance(rows[0], Run) else rows[0].previous
        if first is None or len(rows) != len(parts):
            return None
        leaf, page = first.leaf, first.page
        expected = 0
        for row, part in zip(rows, parts, strict=True):
            if isinstance(row, Run):
                if row.leaf is not leaf or row.start != expected:
                    return None
                expected = row.stop
                continue
            before = row.previous
            if before is None or before.leaf is not leaf or before.row != expected:
                return None
            if leaf.entry(expected) != part:
                return None
            expected += 1
        return Run(leaf, page, 0, expected) if expected == len(leaf) else None

    def _use_entry(self, entry: Entry) -> None:
        self._count(entry.type, entry.size)
        for item in entry.items:
            if item.segment is not None:
                self.needed.add((item.segment.backup, CONTENT, item.segment.volume))
        self._use_item_pages(entry)

    def _use_run(self, run: Run) -> None:
        leaf = run.leaf
        self._count_rows(run)
        table, first, last = leaf.items_in(run.start, run.stop)
        for segment in table.segments_of(first, last):
            self.needed.add((segment.backup, CONTENT, segment.volume))
        for row in leaf.rows_with_item_pages():
            if run.start <= row < run.stop:
                self._use_item_pages(leaf.entry(row))

    def _use_item_pages(self, entry: Entry) -> None:
        if entry.item_pages is not None:
            self._use_page(entry.item_pages)
            self._ranges.update(entry.item_volumes)

    def _keep(self, into: _Leaf, found: Run) -> None:
        """Refer to a whole leaf of the previous list."""
        leaf = found.leaf
        self._count_rows(found)
        index_segments: set[SegmentRef] = set()
        for row in leaf.rows_with_item_pages():
            entry = leaf.entry(row)
            if entry.item_pages is not None:
                index_segments.add(entry.item_pages.segment)
            self._use_item_pages(entry)
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

    def _count_rows(self, run: Run) -> None:
        self.counts.entries += run.stop - run.start
        self.counts.files += run.leaf.types.count(FILE, run.start, run.stop)
        self.counts.bytes += sum(run.leaf.sizes[run.start : run.stop])

    def _entries(self, row: Row) -> Iterator[Entry]:
        """Yield a fresh row's entry, if it could be read, and those of what was found below it later."""
        entry = self._entry(row)
        if entry is not None:
            yield entry
        if row.content is not None:
            for below in row.content.below:
                yield from self._entries(below)

    def _entry(self, row: Row) -> Entry | None:
        """Return a fresh row's entry; None for what could not be read."""
        result = row.content.result if row.content is not None else None
        entry = row.entry if result is None else self._file_entry(row, result)
        if row.previous is not None:
            before = row.previous.leaf.entry(row.previous.row)
            if entry is None or (entry.items, entry.item_pages) != (before.items, before.item_pages):
                self._dead_bytes += before.size
        return entry

    def _file_entry(self, row: Row, result: ReadFile) -> Entry | None:
        facts, path = result.facts, row.path
        if facts is None:
            told = result.warning if result.instead is not None else result.error
            if told and not result.vanished:
                self._warn(path, told)
            return result.instead
        mode, uid, gid, size, mtime_ns, ctime_ns, inode = facts
        entry = Entry(path, FILE, mode & 0o7777, self._owners.of(uid, gid), mtime_ns, ctime_ns, inode, size)
        entry.xattrs = result.xattrs
        if row.content is not None and row.content.link_group:
            entry.link_group = _group_still_held(row.content, facts)
        if result.warning:
            self._warn(path, result.warning)
        if result.changed:
            entry.flags = (CHANGED_WHILE_READ,)
            self._warn(path, "changed while it was read")
        items = [self._item(piece) for piece in result.pieces]
        if len(items) <= MOST_ITEMS:
            entry.items = items
        else:
            self._write_items(entry, items, row.previous)
        return entry

    def _item(self, piece: Piece) -> Item:
        if piece.segment == HOLE:
            return Item(None, 0, piece.length, piece.chunk_id)
        return Item(self.segments[piece.segment], piece.offset, piece.length, piece.chunk_id)

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


def _group_still_held(content: Content, facts: Facts) -> str:
    """Return the link group, or nothing if another file took the name since it was found."""
    return content.link_group if content.identity and content.identity.inode == facts.inode else ""


def _first_path(part: Part) -> bytes:
    return part.leaf.paths[part.start] if isinstance(part, Run) else part.path


def _halves(parts: list[Part], middle: int) -> tuple[list[Part], list[Part]]:
    """Return the rows before ``middle``, and the others."""
    first: list[Part] = []
    second: list[Part] = []
    position = 0
    for part in parts:
        rows = part.stop - part.start if isinstance(part, Run) else 1
        if position + rows <= middle:
            first.append(part)
        elif position >= middle or not isinstance(part, Run):
            second.append(part)
        else:
            cut = part.start + middle - position
            first.append(part._replace(stop=cut))
            second.append(part._replace(start=cut))
        position += rows
    return first, second
