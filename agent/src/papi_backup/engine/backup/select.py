# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Walks, compares and hands out what must be read, in batches (docs/architecture.md)."""

from __future__ import annotations

import itertools
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from operator import attrgetter

from papi_backup.engine.backup.content import Group
from papi_backup.engine.backup.directories import Directory, OpenDirectories, pinned
from papi_backup.engine.backup.filelist import FileListWriter
from papi_backup.engine.backup.files import Owners, entry_of, link_group_of, pinned_entry
from papi_backup.engine.backup.helpers import SEALED, BatchResult, HelperPool
from papi_backup.engine.backup.previous import Comparison, PreviousList, PreviousRow, Run
from papi_backup.engine.backup.readings import GONE, ReadFile
from papi_backup.engine.backup.rows import Content, Identity, Row
from papi_backup.engine.backup.status import FileStatus
from papi_backup.engine.backup.walk import Batch, Found
from papi_backup.engine.backup.warnings import Warnings
from papi_backup.engine.format.entries import ANCESTOR, DIRECTORY, Entry
from papi_backup.model.job import Progress

_BATCH_FILES = 256
_BATCH_BYTES = 16 << 20
_REPORT_SECONDS = 0.5
_SEAL_ROWS = 16 * 1024
"""Rows of the list that may wait for segments that small changes far apart fill slowly."""
_SEAL_BYTES = 64 << 20
"""Bytes of files that an incremental may pass before it has sealed what changed among them.

A restore reads in walk order and keeps the last 29 MiB that it opened.  At the end of a long chain it needs a
segment of each incremental at any place: they must be of small parts of the tree, or it would open them again
and again, once for each changed file.
"""
_MOST_LATE_ROWS = 16 * 1024
"""Rows below files that became directories: they are held in memory until the walk is over."""
_RESTLESS_TEXT = "became another kind of file again and again while it was backed up"
_ROWS_MEANWHILE = 3 * _SEAL_ROWS
"""Rows after which the walk waits for the sealing: a helper may be in the middle of a large file."""


Report = Callable[[Progress], None]
Again = Callable[[Directory, bytes], Iterable[Batch]]


class Selection:
    """Feeds the file list from the walk, and the helpers with what is new or changed."""

    def __init__(
        self,
        pool: HelperPool,
        files: FileListWriter,
        previous: PreviousList | None,
        warnings: Warnings,
        report: Report,
        *,
        again: Again,
    ) -> None:
        """``again`` walks a name of the walk once more."""
        self._look_again = again
        self._pool = pool
        pool.while_waiting = self._tell
        self._files = files
        self._previous = previous
        self._comparison = Comparison(previous) if previous else None
        self._warnings = warnings
        self._report = report
        self._owners = Owners()
        self._leaders: dict[tuple[int, ...], tuple[Content, int]] = {}
        self._again: list[Content] = []
        self._turned: list[tuple[Content, ReadFile]] = []
        """Files that had become directories when they were to be read."""
        self._directories = OpenDirectories()
        self._late_rows = _MOST_LATE_ROWS
        self._looked: set[bytes] = set()
        """Paths that were looked at once more."""
        self._contents: dict[int, list[Content]] = {}
        self._batch: list[Content] = []
        self._batch_bytes = 0
        self._batches = 0
        self._asked = False
        """Whether the index is being filled with what the chain holds."""
        self._told = 0.0
        self._seal_at = _SEAL_ROWS
        self._sealing = 0
        self._unsealed = False
        """Whether anything was handed out since it was last asked to seal."""
        self._passed = 0
        self.files_read = 0
        self.bytes_read = 0
        self._active = _uptime()
        self.longest_idle = 0.0
        """Longest time in seconds, sleep of the host included, in which no helper answered."""

    @property
    def dead_bytes(self) -> int:
        """Bytes of files of the previous list that are gone."""
        return self._comparison.dead_bytes if self._comparison else 0

    def run(self, walk: Iterable[Batch]) -> None:
        """Put every file found into the list and hand out all that must be read."""
        try:
            for batch in walk:
                if batch.ancestors:
                    self._add_ancestors(batch)
                else:
                    self._add_all(batch)
                self._let_go(batch.found)
            self._read_rest()
        finally:
            self._directories.close()
        if self._comparison is not None:
            self._comparison.drain()

    def _read_rest(self) -> None:
        """Have read what is left, and what turned out meanwhile to need another look."""
        self._submit()
        self._pool.drain(self.receive)
        while self._again or self._turned:
            again, self._again = self._again, []
            for content in again:
                self._hand_out(content, 0)
            turned, self._turned = self._turned, []
            for content, file in turned:
                self._take_turned(content, file)
            self._submit()
            self._pool.drain(self.receive)

    def _let_go(self, found: list[Found]) -> None:
        """Have sealed what the list waits for when too much does, or when the walk has left it far behind."""
        self._passed += sum(status.st_size for _path, status in found)
        waiting = self._files.waiting
        far = self._passed >= _SEAL_BYTES and self._unsealed and self._previous is not None
        if self._sealing and waiting >= self._seal_at:
            self._pool.drain(self.receive)
        elif far or (waiting >= self._seal_at and not self._sealing):
            # Several may be on their way, each behind what it is to seal: helpers that are slow mix nothing.
            self._submit()
            self._passed, self._unsealed = 0, False
            if not self._sealing:
                # Until the index is filled nothing is sealed: going on would only gather rows in memory.
                filling = self._pool.is_filling
                self._seal_at = max(waiting, _SEAL_ROWS) if filling else waiting + _ROWS_MEANWHILE
            self._sealing += self._pool.pipelines
            self._pool.seal(self.receive)
        elif self._sealing:
            self._pool.receive(self.receive, timeout=0)

    def receive(self, result: BatchResult) -> None:
        """Take a helper's answer."""
        self._note_activity()
        self._files.segments.update(result.sealed)
        if result.files:
            for content, file in zip(self._contents.pop(result.batch), result.files, strict=True):
                self._take(content, file)
        self._files.pump()
        if result.batch == SEALED:
            self._sealing -= 1
            if not self._sealing:
                self._seal_at = self._files.waiting + _SEAL_ROWS
        self._tell()

    def _tell(self) -> None:
        """Report how far it is, of large files in the middle of them too."""
        now = _uptime()
        if now - self._told >= _REPORT_SECONDS:
            self._told = now
            self._report(Progress(files_done=self.files_read, bytes_done=self._pool.bytes_read))

    def _note_activity(self) -> None:
        now = _uptime()
        self.longest_idle = max(self.longest_idle, now - self._active)
        self._active = now

    def _take(self, content: Content, file: ReadFile) -> None:
        self.files_read += 1
        self.bytes_read += file.bytes_read
        if file.instead is not None and file.instead.type == DIRECTORY:
            self._turned.append((content, file))
        else:
            content.result = file
        if not content.others:
            return
        others, content.others = content.others, []
        if content.is_read():
            for other in others:
                other.result = file
        else:
            # The name vanished, or names another file by now: the inode is read by its next name.
            again = others[0]
            again.others = others[1:]
            self._again.append(again)

    def _take_turned(self, content: Content, file: ReadFile) -> None:
        """Put what is found now under a name that has become a directory in the stead of its file."""
        if content.path in self._looked:
            self._warnings.of_path(content.path, f"{_RESTLESS_TEXT}; what is in it is left out")
            content.result = file
            return
        rows = self._rows_again(content.path, content.place)
        content.below += itertools.islice(rows, self._late_rows)
        self._late_rows -= len(content.below)
        if next(rows, None) is not None:
            self._warnings.of_path(
                content.path, "became a directory while it was backed up; a part is left out"
            )
        content.result = GONE

    def _add_all(self, batch: Batch) -> None:
        found = batch.found
        directories = iter(batch.places)
        stop, place = next(directories)
        number = 0
        while number < len(found):
            run = self._comparison.unchanged(found, number) if self._comparison else None
            if run is not None:
                self._files.keep(run)
                number += run.stop - run.start
                continue
            while stop <= number:
                stop, place = next(directories)
            path, status = found[number]
            previous = self._comparison.find(path) if self._comparison else None
            if stat.S_ISREG(status.st_mode):
                self._files.add(self._file_row(path, place, status, previous))
            else:
                for row in self._other_rows(found[number], place, previous, batch.attributes):
                    self._files.add(row)
            number += 1

    def _rows_again(self, path: bytes, place: Directory) -> Iterator[Row]:
        """Walk what has a name now and yield fresh rows of all that is found."""
        self._looked.add(path)
        try:
            for batch in self._look_again(place, path[len(place.prefix) :]):
                ((_stop, within),) = batch.places
                for below, status in batch.found:
                    if stat.S_ISREG(status.st_mode):
                        yield self._file_row(below, within, status, None)
                    else:
                        yield from self._other_rows((below, status), within, None, batch.attributes)
        except OSError as error:
            self._tell_unseen(path, error)

    def _other_rows(
        self,
        found: Found,
        place: Directory,
        previous: PreviousRow | None,
        attributes: Mapping[bytes, dict[bytes, bytes]],
    ) -> Iterator[Row]:
        """Yield the row of what was found and is no file; what has changed its kind is taken as it is now."""
        path, status = found
        if stat.S_ISDIR(status.st_mode):
            yield Row(path, previous, self._directory(path, status, attributes))
            return
        try:
            with pinned(self._directories.at(place), path[len(place.prefix) :]) as pin:
                status = os.fstat(pin)
                entry, warning = pinned_entry(path, pin, status, self._owners)
        except OSError as error:
            self._tell_unseen(path, error)
            return
        if stat.S_ISREG(status.st_mode):
            yield self._file_row(path, place, status, previous)
        elif not stat.S_ISDIR(status.st_mode):
            if warning:
                self._warnings.of_path(path, warning)
            if entry is not None:
                yield Row(path, previous, entry)
        elif path in self._looked:
            self._warnings.of_path(path, f"{_RESTLESS_TEXT}; it is left out")
        else:
            yield from self._rows_again(path, place)

    def _tell_unseen(self, path: bytes, error: OSError) -> None:
        """Warn of what could not be looked at; what has vanished is no news."""
        if not isinstance(error, FileNotFoundError):
            self._warnings.of_path(path, error.strerror or str(error))

    def _file_row(
        self, path: bytes, place: Directory, status: FileStatus, previous: PreviousRow | None
    ) -> Row:
        """Return the row of a file; reading it tells the rest, but which names are of one file."""
        group = link_group_of(status)
        if group:
            return Row(path, previous, None, self._linked(path, place, status, group))
        content = Content(path, place)
        self._hand_out(content, status.st_size)
        return Row(path, previous, None, content)

    def _directory(
        self, path: bytes, status: FileStatus, attributes: Mapping[bytes, dict[bytes, bytes]]
    ) -> Entry:
        entry = entry_of(path, status, self._owners)
        if entry is None:
            raise RuntimeError("a directory is never left out")
        entry.xattrs = attributes.get(path, {})
        return entry

    def _add_ancestors(self, batch: Batch) -> None:
        for path, status in batch.found:
            previous = self._comparison.find(path) if self._comparison else None
            entry = self._directory(path, status, batch.attributes)
            entry.flags = (ANCESTOR,)
            if previous is not None and _same_but_for_times(entry, previous):
                self._files.keep(Run(previous.leaf, previous.page, previous.row, previous.row + 1))
            else:
                self._files.add(Row(path, previous, entry))

    def _linked(self, path: bytes, place: Directory, status: FileStatus, group: str) -> Content:
        """Return the content of a file with several names, which is read once."""
        identity = Identity(status.st_ino, status.st_ctime_ns, status.st_mtime_ns, status.st_size)
        content = Content(path, place, identity, group)
        leader = self._leader(content, (status.st_dev, *identity), status.st_nlink)
        if leader.is_read():
            content.result = leader.result
        elif leader is not content and leader.result is None:
            leader.others.append(content)
        else:
            self._hand_out(content, status.st_size)
        return content

    def _leader(self, content: Content, key: tuple[int, ...], links: int) -> Content:
        """Return who reads for all names of a file; forgotten once all of them were found."""
        leader, missing = self._leaders.get(key, (content, links))
        if missing > 1:
            self._leaders[key] = (leader, missing - 1)
        else:
            self._leaders.pop(key, None)
        return leader

    def _hand_out(self, content: Content, size: int) -> None:
        if self._previous is not None and not self._asked:
            self._asked = True
            self._pool.fill(self._previous.chunks, self.receive)
        self._unsealed = True
        if self._batch and self._batch_bytes + size > _BATCH_BYTES:
            self._submit()
        self._batch.append(content)
        self._batch_bytes += size
        if len(self._batch) >= _BATCH_FILES:
            self._submit()

    def _submit(self) -> None:
        if not self._batch:
            return
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        number, self._batches = self._batches, self._batches + 1
        self._contents[number] = batch
        groups = [
            Group(place, [content.path[len(place.prefix) :] for content in contents])
            for place, contents in itertools.groupby(batch, attrgetter("place"))
        ]
        self._pool.submit(number, groups, self.receive)


def _same_but_for_times(entry: Entry, previous: PreviousRow) -> bool:
    """Return whether a directory above the sources is as it was; what comes and goes in it is not ours."""
    before = previous.leaf.entry(previous.row)
    return before == replace(entry, mtime_ns=before.mtime_ns, ctime_ns=before.ctime_ns, inode=before.inode)


def _uptime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def skipped_paths(*directories: str) -> frozenset[bytes]:
    """Return the agent's own directories, relative to ``/``: never backed up (docs/sources.md)."""
    return frozenset(os.fsencode(os.path.realpath(path)).lstrip(b"/") for path in directories if path)
