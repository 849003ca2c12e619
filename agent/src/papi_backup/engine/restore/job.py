# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One restore from order to result (docs/restoring.md)."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from papi_backup.engine.format.entries import walk_key
from papi_backup.engine.restore.choose import Chosen, VolumeCheck, check_volumes, choose
from papi_backup.engine.restore.crew import Alone, Claims, Crew
from papi_backup.engine.restore.fetch import SegmentSource
from papi_backup.engine.restore.hardlinks import finish_links
from papi_backup.engine.restore.helpers import Helpers, started
from papi_backup.engine.restore.outcome import result_of
from papi_backup.engine.restore.preflight import check_target
from papi_backup.engine.restore.scope import PAGES_AHEAD, Scope, Surveyor
from papi_backup.engine.restore.select import Selector
from papi_backup.engine.restore.share import Head, PendingDirectory, PendingLink, Share, ShareResult, WorkPlan
from papi_backup.engine.restore.tally import Causes, Tally
from papi_backup.engine.restore.target import (
    Destination,
    make_target,
    resolved_target,
    sync_file_systems,
)
from papi_backup.engine.restore.worker import Worker
from papi_backup.engine.storage.protocol import Storage, StorageOpener
from papi_backup.engine.termination import orderly_termination
from papi_backup.model.job import REPORT_SECONDS, JobResult, Progress, RestoreOrder

Report = Callable[[Progress], None]
SMALL_ENTRIES, SMALL_BYTES = 5000, 32 << 20
"""A restore of no more than this is done by one process: others would only open connections."""


@dataclass(slots=True)
class _Counter:
    """Adds up the progress of all processes and reports it."""

    report: Report
    files_total: int
    bytes_total: int
    files: int = 0
    bytes: int = 0
    next_report: float = 0.0

    def __call__(self, files: int, size: int) -> None:
        """Add what was done since the last call."""
        self.files += files
        self.bytes += size
        now = time.monotonic()
        if now >= self.next_report:
            self.next_report = now + REPORT_SECONDS
            self.tell()

    def tell(self) -> None:
        """Report what is done."""
        self.report(Progress(self.files, self.files_total, self.bytes, self.bytes_total))


def run_restore(order: RestoreOrder, opener: StorageOpener, report: Report) -> JobResult:
    """Restore the newest backup at or before a date.

    Raises InvalidParameterError (3005: target_dir, include, overwrite=fail), NoSuchEntityError (3007: no
    backup so old, an include that matches nothing), DecryptionKeyError (4002), DecryptionKeyMissingError
    (4003), CorruptedBackupError (4004, after everything sound was restored), TransferError (4005: the
    storage, or this host, failed) and what else the storage raises.
    """
    selector = Selector(order.options.include)
    with (
        resolved_target(order) as destination,
        orderly_termination(),
        started(order.helpers, opener) as helpers,
    ):
        storage = opener()
        try:
            return _Restore(order, destination, selector, storage, report).run(helpers)
        finally:
            storage.close()


@dataclass(slots=True)
class _Found:
    """What the shares left for the end."""

    tally: Tally = field(default_factory=Tally)
    directories: list[PendingDirectory] = field(default_factory=list)
    links: list[PendingLink] = field(default_factory=list)
    made: set[bytes] = field(default_factory=set)
    devices: dict[int, bytes] = field(default_factory=dict)
    heads: dict[str, Head] = field(default_factory=dict)
    failed_groups: dict[str, str] = field(default_factory=dict)

    def add(self, result: ShareResult) -> None:
        """Take in what came of one share."""
        self.tally.merge(result.tally)
        self.directories.extend(result.directories)
        self.links.extend(result.links)
        self.made |= result.made
        self.devices = {**result.devices, **self.devices}
        self.heads.update(result.heads)
        self.failed_groups.update(result.failed_groups)


class _Restore:
    """One restore, its backup chosen and read from an open storage."""

    def __init__(
        self,
        order: RestoreOrder,
        destination: Destination,
        selector: Selector,
        storage: Storage,
        report: Report,
    ) -> None:
        self._order = order
        self._destination = destination
        self._storage = storage
        self._report = report
        self._selector = selector
        self._lost = Causes()
        self._chosen: Chosen = choose(storage, order)
        self._source = SegmentSource(storage, self._chosen.opened, frozenset())
        self._surveyor = Surveyor(self._source, self._chosen.opened, selector, self._lost)

    def run(self, helpers: Helpers | None) -> JobResult:
        """Check everything that can be checked, then write."""
        totals = self._chosen.opened.manifest.totals
        if helpers is not None and self._selector.everything and not _is_small(totals.entries, totals.bytes):
            helpers.connect()
        try:
            check = check_volumes(self._storage, self._chosen.opened, self._surveyor.index)
            scope = self._surveyor.scope()
            warnings = check_target(self._destination, scope, self._surveyor)
        finally:
            self._source.close()
        found = _Found()
        found.tally.lost.merge(self._lost)
        found.tally.warnings.merge(warnings)
        found.tally.transferred = self._chosen.opened.entry.manifest_size + self._source.transferred
        if make_target(self._destination):
            found.made.add(b"")
        self._write(scope, check, found, helpers)
        sync_file_systems(self._destination, found.devices.values())
        return result_of(found.tally, check.wrong, self._chosen, self._order, self._destination.target)

    def _write(self, scope: Scope, check: VolumeCheck, found: _Found, helpers: Helpers | None) -> None:
        plan = WorkPlan(
            opened=self._chosen.opened,
            target=self._destination.target,
            root=self._destination.made_root,
            include=self._order.options.include,
            missing=check.missing,
            needed_bytes=scope.bytes,
            token=secrets.token_hex(8),
            separate_large=False,
            numeric_owner=self._order.options.numeric_owner,
        )
        crew: Crew = Alone(self._storage)
        if helpers is not None and not _is_small(scope.entries, scope.bytes):
            crew = helpers
            plan = replace(plan, separate_large=True)
        claims = Claims()
        counter = _Counter(self._report, scope.files, scope.bytes)
        for result in crew.run(plan, shares_of(scope, self._order.helpers), claims, counter):
            found.add(result)
        counter.tell()
        self._finish(plan, claims, found)

    def _finish(self, plan: WorkPlan, claims: Claims, found: _Found) -> None:
        """Do what had to wait for all shares: links between them, and directories they had in common."""
        worker = Worker(plan, self._storage, claims.claim, _nothing_to_tell)
        try:
            links, found.links = found.links, []
            for result in finish_links(worker, links, found.heads, found.failed_groups, claims):
                found.add(result)
            found.directories.sort(key=lambda pending: walk_key(pending.entry.path), reverse=True)
            found.add(worker.finish_directories(found.directories, found.made))
        finally:
            worker.close()


def _is_small(entries: int, size: int) -> bool:
    return entries <= SMALL_ENTRIES and size <= SMALL_BYTES


def _nothing_to_tell(files: int, size: int) -> None:
    """Links and directories come after the last progress."""
    del files, size


def shares_of(scope: Scope, helpers: int) -> list[Share]:
    """Cut the leaves into shares: a few for each process, so that none waits long for the others."""
    size = max(1, min(PAGES_AHEAD, -(-len(scope.leaves) // (4 * max(1, helpers)))))
    return [Share(scope.leaves[start : start + size]) for start in range(0, len(scope.leaves), size)]
