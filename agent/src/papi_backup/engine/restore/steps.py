# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reading side of a share: pages to entries, entries to decisions, decisions to steps for the writer.

Whatever has no content (links, devices, files that are already right) is settled here; contents
and the end of each directory are steps, in walk order, in batches that one round of fetching serves.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from papi_backup.engine.format.entries import ANCESTOR, BLOCK, CHARACTER, DIRECTORY, FILE, Entry
from papi_backup.engine.format.leaf import LeafPage
from papi_backup.engine.format.names import CONTENT, INDEX
from papi_backup.engine.format.references import Item, PageRef
from papi_backup.engine.restore.fetch import Key, SegmentSource
from papi_backup.engine.restore.files import Placer
from papi_backup.engine.restore.index import Index, Leaf
from papi_backup.engine.restore.links import Links
from papi_backup.engine.restore.policy import Judge
from papi_backup.engine.restore.select import Selector
from papi_backup.engine.restore.share import LARGE_FILE, PendingDirectory, Share, ShareResult, WorkPlan
from papi_backup.engine.restore.tree import PROTECTED, BlockedError, Found, Tree
from papi_backup.host_paths import identity_of
from papi_backup.model.errors import CorruptedBackupError

BATCH_BYTES = 4 << 20
"""Sealed bytes one round of fetching gets."""
BATCH_STEPS = 1024


@dataclass(frozen=True, slots=True)
class Content:
    """A piece of a file's content, or all of it; ``last`` completes the file."""

    entry: Entry
    page: PageRef
    items: list[Item]
    last: bool


Step = Content | PendingDirectory


@dataclass(slots=True)
class Batch:
    """Steps and the segments they need that were not on their way before."""

    steps: list[Step] = field(default_factory=list)
    keys: dict[Key, None] = field(default_factory=dict)
    bytes: int = 0


@dataclass(slots=True)
class _OpenDirectory:
    """A directory the walk is in.  ``busy``: something below it is done by another process or later."""

    prefix: bytes
    pending: PendingDirectory
    busy: bool = False


class ShareReader:
    """Reads one share after another.  One instance serves one process."""

    def __init__(
        self,
        plan: WorkPlan,
        source: SegmentSource,
        tree: Tree,
        placer: Placer,
        links: Links,
        *,
        refused: Callable[[ShareResult, bytes, Exception], None],
    ) -> None:
        self._plan = plan
        self._source = source
        self._tree = tree
        self._placer = placer
        self._links = links
        self._refused = refused
        self.index = Index(source, plan.opened)
        self._judge = Judge(plan.target.overwrite, self.index.items, plan.opened.keys)
        self._selector = Selector(plan.include)
        self._stack: list[_OpenDirectory] = []
        self._batch = Batch()
        self.given_up: Entry | None = None
        """The file whose remaining content the writer does not want any more."""

    def batches(self, share: Share, result: ShareResult) -> Iterator[Batch]:
        """Yield the share's batches; each one's segments are already asked for."""

        def lost(error: CorruptedBackupError, entries: int) -> None:
            result.tally.lost.add(error.message, None, entries)

        self._stack = []
        self._batch = Batch()
        self._source.request((INDEX, leaf.page.segment) for leaf in share.leaves)
        for leaf in share.leaves:
            for reference, page in self.index.leaf_pages(leaf, lost):
                here = Leaf(reference, len(page), page.paths[0] if len(page) else b"")
                for row in range(len(page)):
                    if not share.rows or row in share.rows:
                        yield from self._row(share, here, page, row, result)
        while self._stack:
            result.directories.append(self._stack.pop().pending)
        yield self._sent()

    def _sent(self) -> Batch:
        batch, self._batch = self._batch, Batch()
        self._source.request(batch.keys)
        return batch

    def _row(
        self, share: Share, leaf: Leaf, page: LeafPage, row: int, result: ShareResult
    ) -> Iterator[Batch]:
        path, kind = page.paths[row], page.types[row]
        selected = self._selector.selects(path)
        if not selected and not (kind == DIRECTORY and self._selector.concerns(path, kind)):
            return
        if self._plan.target.is_protected(path):
            if selected:
                result.tally.warnings.add(PROTECTED, path)
            return
        self._leave(path, result)
        try:
            entry = self.index.entry(leaf.page, page, row)
            if kind == DIRECTORY:
                if not share.rows:
                    self._directory(entry, selected, result)
            elif kind == FILE and entry.size >= LARGE_FILE and self._plan.separate_large and not share.rows:
                result.large.append(Share((leaf,), frozenset((row,))))
                self._mark_busy()
            elif self._is_needed(entry, leaf, row, result):
                yield from self._content(entry, leaf.page)
        except CorruptedBackupError as error:
            result.tally.lost.add(error.message, path)
        except (BlockedError, OSError) as error:
            self._refused(result, path, error)
        if len(self._batch.steps) >= BATCH_STEPS:
            yield self._sent()

    def _leave(self, path: bytes, result: ShareResult) -> None:
        """Finish the directories that ``path`` is not in, those of other hands' work later."""
        stack = self._stack
        while stack and not path.startswith(stack[-1].prefix):
            left = stack.pop()
            if left.busy:
                result.directories.append(left.pending)
            else:
                self._batch.steps.append(left.pending)

    def _mark_busy(self) -> None:
        for directory in self._stack:
            directory.busy = True

    def _directory(self, entry: Entry, selected: bool, result: ShareResult) -> None:
        """Make a directory that was asked for; one above is made when something below it is."""
        only_if_made, changed = True, False
        prefix = entry.path + b"/" if entry.path else b""
        if selected and ANCESTOR not in entry.flags:
            replaces = self._plan.target.replaces
            # Before its mode is opened up and its time moves with what is written below.
            to_mend = replaces and self._placer.is_to_mend(entry)
            fresh = bool(entry.path) and self._tree.make_directory(entry.path)
            only_if_made = not fresh and not replaces
            changed = fresh or to_mend
            result.tally.others += 1
        self._stack.append(_OpenDirectory(prefix, PendingDirectory(entry, only_if_made, changed)))

    def _is_needed(self, entry: Entry, leaf: Leaf, row: int, result: ShareResult) -> bool:
        """Settle an entry that needs no content; return whether its content must be written."""
        found = self._tree.find(entry.path)
        target, tally = self._plan.target, result.tally
        if found is not None and target.overwrite == "fail":
            raise BlockedError("something is there already and overwrite=fail keeps it")
        if found is not None and not target.replaces:
            tally.kept += 1
            return False
        if entry.links and not self._links.is_first(entry, leaf, row, result):
            self._mark_busy()
            return False
        try:
            if self._is_kept(entry, found, result):
                tally.kept += 1
                return False
            if entry.type == FILE:
                return True
            if not self._special(entry, result):
                self._links.failed(entry, result)
                return False
            tally.others += 1
            tally.changed += 1
        except CorruptedBackupError as error:
            self._links.failed(entry, result, error.message)
            raise
        except (BlockedError, OSError):
            self._links.failed(entry, result)
            raise
        return False

    def _is_kept(self, entry: Entry, found: Found | None, result: ShareResult) -> bool:
        """Bring the metadata of what is already right in line; return False if nothing is."""
        with self._judge.same(entry, found) as descriptor:
            if descriptor is None:
                return False
            result.tally.changed += self._placer.fix_metadata(entry, descriptor)
            if entry.links:
                self._links.done(entry, identity_of(os.fstat(descriptor)), result)
            return True

    def _special(self, entry: Entry, result: ShareResult) -> bool:
        """Make a link, FIFO or device; a device that this host may not make is a warning."""
        try:
            self._links.done(entry, self._placer.special(entry), result)
        except PermissionError as error:
            if entry.type not in (CHARACTER, BLOCK) or error.errno != errno.EPERM:
                raise
            result.tally.warnings.add(f"device not made ({error.strerror})", entry.path)
            return False
        return True

    def _content(self, entry: Entry, reference: PageRef) -> Iterator[Batch]:
        """Add a file's content to the batch, which is sent whenever it is full."""
        batch = self._batch
        items: list[Item] = []
        for item in self.index.items(entry):
            items.append(item)
            if item.segment is not None:
                key = (CONTENT, item.segment)
                if key not in batch.keys and self._source.wants(key):
                    batch.keys[key] = None
                    batch.bytes += item.segment.length
                    if batch.bytes >= BATCH_BYTES:
                        batch.steps.append(Content(entry, reference, items, last=False))
                        yield self._sent()
                        if self.given_up is entry:
                            return
                        batch, items = self._batch, []
        batch.steps.append(Content(entry, reference, items, last=True))
