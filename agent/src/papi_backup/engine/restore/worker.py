# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One process's pipeline: read pages, decide, fetch, verify, decrypt, write.

Reading runs one batch ahead of writing, so that the next segments are on their way while this batch
is written.  Directories are finished when the walk has left them.
"""

from __future__ import annotations

from collections.abc import Callable

from papi_backup.engine.format.entries import Entry
from papi_backup.engine.format.names import CONTENT
from papi_backup.engine.format.references import Item
from papi_backup.engine.restore.accounts import OwnerNumbers
from papi_backup.engine.restore.failures import reason_of, stops_all, target_failed
from papi_backup.engine.restore.fetch import SegmentSource
from papi_backup.engine.restore.files import NewFile, Placer
from papi_backup.engine.restore.links import Claim, Links
from papi_backup.engine.restore.metadata import MetadataWriter
from papi_backup.engine.restore.share import Head, PendingDirectory, Share, ShareResult, WorkPlan
from papi_backup.engine.restore.steps import Batch, Content, ShareReader
from papi_backup.engine.restore.tally import Causes, Tally
from papi_backup.engine.restore.tree import BlockedError, ProtectedError, Tree
from papi_backup.engine.storage.protocol import Storage
from papi_backup.model.errors import CorruptedBackupError

Told = Callable[[int, int], None]
"""Called with files and content bytes done since the last call."""


class Worker:
    """Restores shares, one after another.  Raises PapiError where all of the restore must end.

    Call :meth:`close` or :meth:`abandon` in any case: they remove the file that was on its way.
    """

    def __init__(self, plan: WorkPlan, storage: Storage, claim: Claim, told: Told) -> None:
        self._plan = plan
        self._told = told
        self._warnings = Causes()
        self._tree = Tree(plan.target, plan.root, plan.token)
        metadata = MetadataWriter(OwnerNumbers(numeric=plan.numeric_owner), self._warnings)
        self._placer = Placer(self._tree, metadata)
        self._source = SegmentSource(storage, plan.opened, plan.missing)
        self._links = Links(claim)
        self._reader = ShareReader(
            plan, self._source, self._tree, self._placer, self._links, refused=self._refused
        )
        self._file: NewFile | None = None
        self._ends_in_hole = False
        self._given_up: Entry | None = None
        self._last = (0, 0)

    def run(self, share: Share) -> ShareResult:
        """Restore one share and tell what came of it."""
        result = ShareResult(Tally())
        self._last = (0, 0)
        before: Batch | None = None
        for batch in self._reader.batches(share, result):
            if before is not None:
                self._write(before, result)
            before = batch
        if before is not None:
            self._write(before, result)
        for link, first in self._links.settled(result):
            self.link(first, link.path, result)
        return self._finished(result)

    def finish(self, links: list[tuple[Head, bytes]]) -> ShareResult:
        """Make (first name, other name) links across shares."""
        result = ShareResult(Tally())
        for first, path in links:
            self.link(first, path, result)
        return self._finished(result)

    def finish_directories(self, directories: list[PendingDirectory], made: set[bytes]) -> ShareResult:
        """Set the metadata of directories, given children first, of which ``made`` were made on the way."""
        self._tree.made |= made
        result = ShareResult(Tally())
        for directory in directories:
            self._directory(directory, result)
        return self._finished(result)

    def link(self, first: Head, path: bytes, result: ShareResult) -> None:
        """Make ``path`` another name of ``first``."""
        try:
            if self._placer.link(first, path):
                result.tally.files += 1
                result.tally.changed += 1
            else:
                result.tally.kept += 1
        except (BlockedError, OSError) as error:
            self._refused(result, path, error)

    def abandon(self) -> None:
        """Remove the file that is on its way, if any; never raises."""
        self._placer.abandon()

    def close(self, *, wait: bool = True) -> None:
        """Remove what is unfinished and let go of everything; ``wait`` for requests under way."""
        self._placer.abandon()
        self._source.close(wait=wait)
        self._tree.close()

    def _finished(self, result: ShareResult) -> ShareResult:
        result.made, self._tree.made = self._tree.made | result.made, set()
        result.devices = dict(self._tree.devices)
        result.tally.warnings.merge(self._warnings)
        self._warnings.by_cause.clear()
        result.tally.transferred, self._source.transferred = self._source.transferred, 0
        result.tally.touched, self._source.touched = self._source.touched, set()
        return result

    def _write(self, batch: Batch, result: ShareResult) -> None:
        for step in batch.steps:
            if isinstance(step, Content):
                self._content(step, result)
            else:
                self._directory(step, result)
        self._tell(result.tally)

    def _tell(self, tally: Tally) -> None:
        now = (tally.files, tally.bytes)
        files, size = (new - old for new, old in zip(now, self._last, strict=True))
        self._last = now
        self._told(files, size)

    def _content(self, step: Content, result: ShareResult) -> None:
        entry = step.entry
        if entry is self._given_up:
            self._drop(step)
            return
        try:
            if self._file is None:
                self._file = self._placer.begin(entry)
                self._ends_in_hole = False
            file = self._file
            for item in step.items:
                self._append(file, item)
                result.tally.bytes += item.length
            if not step.last:
                return
            if file.position != entry.size:
                raise self._reader.index.damaged(step.page, f"the content of {entry.path!r} is not its size")
            identity = self._placer.finish(file, ends_in_hole=self._ends_in_hole)
        except CorruptedBackupError as error:
            self._give_up(step, result, error.message)
            result.tally.lost.add(error.message, entry.path)
        except (BlockedError, OSError) as error:
            self._give_up(step, result)
            self._refused(result, entry.path, error)
        else:
            self._file = None
            self._links.done(entry, identity, result)
            result.tally.files += 1
            result.tally.changed += 1

    def _append(self, file: NewFile, item: Item) -> None:
        self._ends_in_hole = item.segment is None
        if item.segment is None:
            file.skip(item.length)
        else:
            raw = self._source.raw(CONTENT, item.segment)
            file.write(memoryview(raw)[item.offset : item.offset + item.length])

    def _drop(self, step: Content) -> None:
        """Forget the segments only a file given up would have used; others fetch theirs again."""
        self._source.drop((CONTENT, item.segment) for item in step.items if item.segment is not None)

    def _give_up(self, step: Content, result: ShareResult, damage: str = "") -> None:
        if self._file is not None:
            result.tally.bytes -= self._file.position
        self._placer.abandon()
        self._file = None
        self._given_up = self._reader.given_up = step.entry
        self._drop(step)
        self._links.failed(step.entry, result, damage)

    def _directory(self, directory: PendingDirectory, result: ShareResult) -> None:
        entry = directory.entry
        made = entry.path in self._tree.made
        if directory.only_if_made and not made:
            return
        try:
            self._placer.directory_metadata(entry)
            result.tally.changed += made or directory.changed
        except (BlockedError, OSError) as error:
            self._refused(result, entry.path, error)

    def _refused(self, result: ShareResult, path: bytes, error: Exception) -> None:
        """Count an entry that this host refused.  Raises TransferError where others would fare alike."""
        if isinstance(error, ProtectedError):
            result.tally.warnings.add(str(error), path)
        elif isinstance(error, OSError):
            if stops_all(error):
                where = self._plan.target.told(path)
                raise target_failed(where, error, self._plan.needed_bytes) from None
            result.tally.failed.add(reason_of(error), path)
        else:
            result.tally.failed.add(str(error), path)
