# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page tree as a restore reads it: damage is told apart by page, sound pages are used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from papi_backup.engine.format import FormatError
from papi_backup.engine.format.entries import Entry, walk_key
from papi_backup.engine.format.leaf import LeafPage
from papi_backup.engine.format.names import INDEX
from papi_backup.engine.format.pages import (
    MOST_LEAF_ENTRIES,
    ItemsPage,
    NodePage,
    Page,
    Volume,
    VolumesPage,
    decode_page,
)
from papi_backup.engine.format.references import Item, PageRef
from papi_backup.engine.opened import OpenedBackup
from papi_backup.engine.restore.fetch import SegmentSource
from papi_backup.engine.restore.select import Selector
from papi_backup.model.errors import CorruptedBackupError

DEEPEST_TREE = 16


class Leaf(NamedTuple):
    """Where a page is, how many entries its parent says are below it, and between which paths.

    ``following`` is the first path behind it, None at the end.  A page outside of its bounds is damaged,
    so that no page can be met twice, however a file list is made up.
    """

    page: PageRef
    entries: int
    first: bytes = b""
    following: bytes | None = None


LostPages = Callable[[CorruptedBackupError, int], None]
"""Told of a damaged page and how many entries are below it."""


class Index:
    """Reads pages of one opened backup."""

    def __init__(self, source: SegmentSource, opened: OpenedBackup) -> None:
        self._source = source
        self._opened = opened

    def page(self, reference: PageRef) -> Page:
        """Return one page.  Raises CorruptedBackupError naming its volume."""
        raw = self._source.raw(INDEX, reference.segment)
        try:
            return decode_page(memoryview(raw)[reference.offset : reference.offset + reference.length])
        except FormatError as error:
            raise self.damaged(reference, str(error)) from None

    def _list_page(self, here: Leaf, depth: int) -> LeafPage | NodePage:
        """Return a page of the file list that keeps to its bounds.  Raises CorruptedBackupError."""
        page = self.page(here.page)
        if isinstance(page, LeafPage):
            low, high = page.paths[0], page.paths[-1]
        elif isinstance(page, NodePage) and depth <= DEEPEST_TREE:
            low, high = page.children[0].first, page.children[-1].first
        else:
            raise self.damaged(here.page, "it holds a page of the wrong kind")
        if walk_key(low) < walk_key(here.first) or (
            here.following is not None and walk_key(high) >= walk_key(here.following)
        ):
            raise self.damaged(here.page, "it holds paths that belong elsewhere")
        return page

    def entry(self, reference: PageRef, page: LeafPage, row: int) -> Entry:
        """Return one row of a leaf.  Raises CorruptedBackupError."""
        try:
            return page.entry(row)
        except FormatError as error:
            raise self.damaged(reference, str(error)) from None

    def leaves(self, selector: Selector, lost: LostPages) -> Iterator[Leaf]:
        """Yield the leaves that may hold something selected, in walk order, without fetching them.

        A page of few entries is taken for a leaf; :meth:`leaf_pages` finds out.  A damaged page above
        is told to ``lost``, and what others give goes on.
        """
        root = self._opened.manifest.root
        if root is not None:
            yield from self._below(Leaf(root, self._opened.manifest.totals.entries), 0, selector, lost)

    def _below(self, here: Leaf, depth: int, selector: Selector, lost: LostPages) -> Iterator[Leaf]:
        if here.entries <= MOST_LEAF_ENTRIES:
            yield here
            return
        try:
            page = self._list_page(here, depth)
        except CorruptedBackupError as error:
            lost(error, here.entries)
            return
        if isinstance(page, LeafPage):
            yield here
            return
        for child in _children(here, page):
            if selector.may_match(child.first, child.following):
                yield from self._below(child, depth + 1, selector, lost)

    def leaf_pages(self, here: Leaf, lost: LostPages, depth: int = 0) -> Iterator[tuple[PageRef, LeafPage]]:
        """Yield the leaf page at a reference, or those below it; a damaged one is told to ``lost``."""
        try:
            page = self._list_page(here, depth)
        except CorruptedBackupError as error:
            lost(error, here.entries)
            return
        if isinstance(page, LeafPage):
            yield here.page, page
            return
        for child in _children(here, page):
            yield from self.leaf_pages(child, lost, depth + 1)

    def items(self, entry: Entry) -> Iterator[Item]:
        """Yield the content items of a file, from its own list or its item pages."""
        if entry.item_pages is None:
            yield from entry.items
        else:
            yield from self._items_below(entry.item_pages, entry.size, 0)

    def _items_below(self, reference: PageRef, length: int, depth: int) -> Iterator[Item]:
        """Yield items of exactly ``length`` bytes in all, which bounds how many pages there can be."""
        page = self.page(reference)
        if not isinstance(page, ItemsPage) or depth > DEEPEST_TREE:
            raise self.damaged(reference, "it holds a page of the wrong kind")
        if sum(piece.length for piece in page.children or page.items) != length:
            raise self.damaged(reference, "it holds a content list of another length than the file's")
        yield from page.items
        for child in page.children:
            yield from self._items_below(child.page, child.length, depth + 1)

    def volumes(self) -> Iterator[Volume]:
        """Yield every volume the backup needs.  Raises CorruptedBackupError for a damaged page."""
        yield from self._opened.manifest.volumes
        for reference in self._opened.manifest.volume_pages:
            page = self.page(reference)
            if not isinstance(page, VolumesPage):
                raise self.damaged(reference, "it holds a page of the wrong kind")
            yield from page.volumes

    def damaged(self, reference: PageRef, why: str) -> CorruptedBackupError:
        """Return the error for a page that is not what it should be."""
        name = self._opened.volume(INDEX, reference.segment)
        return CorruptedBackupError(f"{name} is damaged: {why}.", name)


def _children(here: Leaf, node: NodePage) -> Iterator[Leaf]:
    """Yield a node's children with the bounds of each."""
    ends = [child.first for child in node.children[1:]] + [here.following]
    for child, end in zip(node.children, ends, strict=True):
        yield Leaf(child.page, child.entries, child.first, end)
