# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes pages into ``i`` volumes and builds the tree above the leaves."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from papi_backup.engine.backup.segments import SegmentWriter
from papi_backup.engine.backup.setup import WriterSetup
from papi_backup.engine.backup.volumes import VolumeWriter
from papi_backup.engine.format.names import INDEX
from papi_backup.engine.format.pages import (
    LARGEST_LEAF,
    NODE_CHILDREN,
    Child,
    ItemChild,
    Volume,
    encode_items_node,
    encode_items_page,
    encode_node,
)
from papi_backup.engine.format.references import Item, PageRef, SegmentRef

_LEAST_CHILDREN = 16
_MOST_CHILDREN = 1024
_ITEMS_OF_A_PAGE = 4096


class PendingPage(NamedTuple):
    """A page whose segment may not be sealed yet, by the index writer's own numbering."""

    segment: int
    offset: int
    length: int


class IndexWriter:
    """Gathers pages into index segments of the backup being written."""

    def __init__(self, setup: WriterSetup, volumes: VolumeWriter) -> None:
        self._references: dict[int, SegmentRef] = {}
        self._volumes = volumes
        self.largest_page = setup.capacity
        self._segments = SegmentWriter(setup, INDEX, volumes, itertools.count(), self._references.__setitem__)

    def add(self, page: bytes) -> PendingPage:
        """Write a page; its reference is known after :meth:`flush`."""
        segment, offset = self._segments.add(page)
        return PendingPage(segment, offset, len(page))

    def flush(self) -> None:
        """Seal the current segment, so that every page written has its reference."""
        self._segments.flush()

    def resolve(self, page: PendingPage) -> PageRef:
        """Return a flushed page's reference."""
        return PageRef(self._references[page.segment], page.offset, page.length)

    def finish(self) -> list[Volume]:
        """Make everything durable; return the volumes."""
        self.flush()
        return self._volumes.finish()

    def write_items(self, items: Sequence[Item], use: Callable[[SegmentRef], None]) -> PageRef:
        """Write a long content list as item pages and return their root; ``use`` is told their segments."""
        groups = [items[start : start + _ITEMS_OF_A_PAGE] for start in range(0, len(items), _ITEMS_OF_A_PAGE)]
        pages = [(self.add(encode_items_page(group)), sum(item.length for item in group)) for group in groups]
        self.flush()
        children = [ItemChild(self.resolve(page), length) for page, length in pages]
        while True:
            for child in children:
                use(child.page.segment)
            if len(children) == 1:
                return children[0].page
            children = self._items_level(children)

    def _items_level(self, children: list[ItemChild]) -> list[ItemChild]:
        groups = [children[start : start + NODE_CHILDREN] for start in range(0, len(children), NODE_CHILDREN)]
        pages = [
            (self.add(encode_items_node(group)), sum(child.length for child in group)) for group in groups
        ]
        self.flush()
        return [ItemChild(self.resolve(page), length) for page, length in pages]


def build_tree(
    children: list[Child],
    index: IndexWriter,
    known: dict[tuple[Child, ...], PageRef],
    use: Callable[[PageRef], None],
) -> PageRef | None:
    """Write the nodes above ``children`` and return the root, None for an empty list.

    A node whose children are those of a node of the previous list is that node; ``use`` is told
    every page reference that the tree needs.
    """
    for child in children:
        use(child.page)
    while len(children) > 1:
        groups = list(_groups(children))
        written: list[tuple[tuple[Child, ...], PageRef | PendingPage]] = [
            (group, known.get(group) or index.add(encode_node(group))) for group in groups
        ]
        index.flush()
        children = []
        for group, page in written:
            reference = index.resolve(page) if isinstance(page, PendingPage) else page
            use(reference)
            children.append(Child(reference, group[0].first, sum(child.entries for child in group)))
    return children[0].page if children else None


def _groups(children: Iterable[Child]) -> Iterable[tuple[Child, ...]]:
    """Cut where the first path says so, so that an insertion moves no later boundary."""
    group: list[Child] = []
    names = 0
    for child in children:
        boundary = zlib.crc32(child.first, 1) % NODE_CHILDREN == 0 and len(group) >= _LEAST_CHILDREN
        full = len(group) >= _MOST_CHILDREN or names + len(child.first) > LARGEST_LEAF
        if len(group) > 1 and (boundary or full):
            yield tuple(group)
            group, names = [], 0
        group.append(child)
        names += len(child.first)
    if group:
        yield tuple(group)
