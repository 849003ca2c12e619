# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much a restore is about, and which pages it needs, before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from papi_backup.engine.format.entries import ANCESTOR, DIRECTORY, FILE, Entry
from papi_backup.engine.format.names import INDEX
from papi_backup.engine.opened import OpenedBackup
from papi_backup.engine.restore.fetch import SegmentSource
from papi_backup.engine.restore.index import Index, Leaf
from papi_backup.engine.restore.select import Selector
from papi_backup.engine.restore.tally import Causes
from papi_backup.model.errors import CorruptedBackupError

PAGES_AHEAD = 64
"""Leaves whose segments are asked for together."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The leaves to read, in walk order, and what is in them; bytes of content, holes included."""

    leaves: tuple[Leaf, ...]
    entries: int
    files: int
    bytes: int


class Surveyor:
    """Reads file lists without writing anything.  What is damaged is counted in ``lost``."""

    def __init__(self, source: SegmentSource, opened: OpenedBackup, selector: Selector, lost: Causes) -> None:
        self._source = source
        self._opened = opened
        self._selector = selector
        self._lost = lost
        self.index = Index(source, opened)

    def scope(self) -> Scope:
        """Return what the restore is about; without a selection the manifest tells it.

        Raises NoSuchEntityError if part of the selection matches nothing.
        """
        leaves = tuple(self.index.leaves(self._selector, self._note))
        if self._selector.everything:
            totals = self._opened.manifest.totals
            return Scope(leaves, totals.entries, totals.files, totals.bytes)
        scope = self._selected(leaves)
        if not self._lost:
            self._selector.require_all_matched()
        return scope

    def selected(self, leaves: tuple[Leaf, ...]) -> Iterator[Entry]:
        """Yield the selected entries of some leaves that are not merely above what was backed up."""
        for _leaf, entry, selected in self._entries(leaves):
            if selected and ANCESTOR not in entry.flags:
                yield entry

    def stored_bytes(self, leaves: tuple[Leaf, ...]) -> int:
        """Return the bytes that must be written: no holes, every hard-linked file once."""
        total = 0
        groups: set[str] = set()
        for entry in self.selected(leaves):
            if entry.type != FILE or entry.links in groups:
                continue
            if entry.links:
                groups.add(entry.links)
            try:
                total += sum(item.length for item in self.index.items(entry) if item.segment is not None)
            except CorruptedBackupError:
                continue  # told when its content is read
        return total

    def _selected(self, leaves: tuple[Leaf, ...]) -> Scope:
        """Count what is selected and keep the leaves that hold it, or a directory above it."""
        kept: dict[int, None] = {}
        above: list[tuple[bytes, int]] = []
        entries = files = size = 0
        for number, entry, selected in self._entries(leaves):
            while above and not entry.path.startswith(above[-1][0]):
                above.pop()
            if entry.type == DIRECTORY:
                above.append((entry.path + b"/" if entry.path else b"", number))
            if selected:
                entries += 1
                files += entry.type == FILE
                size += entry.size
                kept[number] = None
                kept.update((holder, None) for _prefix, holder in above)
        return Scope(tuple(leaves[number] for number in sorted(kept)), entries, files, size)

    def _entries(self, leaves: tuple[Leaf, ...]) -> Iterator[tuple[int, Entry, bool]]:
        """Yield (number of the leaf, entry, whether it is selected) of all that concerns the selection."""
        for number, leaf in enumerate(leaves):
            if number % PAGES_AHEAD == 0:
                self._source.request(
                    (INDEX, ahead.page.segment) for ahead in leaves[number : number + PAGES_AHEAD]
                )
            for reference, page in self.index.leaf_pages(leaf, self._note_quietly):
                for row, path in enumerate(page.paths):
                    selected = self._selector.selects(path)
                    if selected or (
                        page.types[row] == DIRECTORY and self._selector.concerns(path, DIRECTORY)
                    ):
                        try:
                            yield number, self.index.entry(reference, page, row), selected
                        except CorruptedBackupError as error:
                            self._note_quietly(error, 1)

    def _note(self, error: CorruptedBackupError, entries: int) -> None:
        self._lost.add(error.message, None, entries)

    def _note_quietly(self, error: CorruptedBackupError, entries: int) -> None:
        """A damaged leaf is counted once, by whoever restores it; here only where nobody will."""
        if not self._selector.everything and error.message not in self._lost.by_cause:
            self._note(error, entries)
