# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a restore: everything a restore decides, without writing (docs/api.md, "restore_backup")."""

from __future__ import annotations

import contextlib
import os
import stat

from papi_backup.engine.authentic import SECONDS
from papi_backup.engine.format.entries import DIRECTORY, FILE, Entry
from papi_backup.engine.restore.accounts import OwnerNumbers
from papi_backup.engine.restore.choose import Chosen, check_volumes, choose
from papi_backup.engine.restore.existing import Existing
from papi_backup.engine.restore.fetch import SegmentSource
from papi_backup.engine.restore.files import require_empty
from papi_backup.engine.restore.metadata import MetadataWriter
from papi_backup.engine.restore.outcome import told
from papi_backup.engine.restore.policy import Judge
from papi_backup.engine.restore.preflight import check_target
from papi_backup.engine.restore.scope import Surveyor
from papi_backup.engine.restore.select import Selector
from papi_backup.engine.restore.tally import Causes
from papi_backup.engine.restore.target import Destination, resolved_target
from papi_backup.engine.restore.tree import PROTECTED, BlockedError, Found, Target, why_it_stays
from papi_backup.engine.storage.protocol import Storage, StorageOpener
from papi_backup.host_paths import by_descriptor
from papi_backup.model.errors import CorruptedBackupError
from papi_backup.model.job import RestoreOrder, RestorePlanSummary

MOST_NAMED = 1000
"""Paths named as overwritten; the count tells of all."""


def plan_restore(order: RestoreOrder, opener: StorageOpener, seconds: float = SECONDS) -> RestorePlanSummary:
    """Tell which backup a restore would use and what it would do; writes nothing.

    Files on disk are compared as the restore would compare them.  Damage that the listing or the file
    list shows is a warning here.  ``seconds``: as for :func:`choose`.  Raises what :func:`run_restore`
    raises before it writes.
    """
    selector = Selector(order.options.include)
    with resolved_target(order) as destination:
        storage = opener()
        try:
            return _plan(order, destination, selector, storage, seconds)
        finally:
            storage.close()


def _plan(
    order: RestoreOrder, destination: Destination, selector: Selector, storage: Storage, seconds: float
) -> RestorePlanSummary:
    chosen = choose(storage, order, seconds)
    source = SegmentSource(storage, chosen.opened, frozenset())
    lost = Causes()
    surveyor = Surveyor(source, chosen.opened, selector, lost)
    try:
        check = check_volumes(storage, chosen.opened, surveyor.index)
        scope = surveyor.scope()
        short = check_target(destination, scope, surveyor)
        counts = _Counts(destination.target, surveyor, chosen, numeric_owner=order.options.numeric_owner)
        with Existing(destination) as existing:
            for entry in surveyor.selected(scope.leaves):
                counts.add(entry, existing)
    finally:
        source.close()
    warnings = [*chosen.warnings]
    warnings += [f"{name} {what}" for name, what in check.wrong.items()]
    warnings.extend(told(causes) for causes in (lost, short, counts.blocked) if causes)
    backup = chosen.opened.entry
    return RestorePlanSummary(
        catalog_path=backup.path,
        date=backup.date,
        backup_type=backup.backup_type,
        instance=backup.instance,
        sequence=chosen.opened.manifest.sequence,
        files=counts.files,
        bytes=counts.bytes,
        creates=counts.creates,
        overwrites=counts.overwrites,
        repairs=counts.repairs,
        keeps=counts.keeps,
        overwritten=tuple(counts.overwritten),
        warnings=tuple(warnings),
    )


class _Counts:
    """Counts what would become of each entry.

    Directories count only where they would be made or repaired.  What could not be put in its place
    is counted by cause in ``blocked``, and nowhere else.
    """

    def __init__(self, target: Target, surveyor: Surveyor, chosen: Chosen, *, numeric_owner: bool) -> None:
        self._target = target
        self._judge = Judge(target.overwrite, surveyor.index.items, chosen.opened.keys)
        self._metadata = MetadataWriter(OwnerNumbers(numeric=numeric_owner), Causes())
        self._first: dict[str, os.stat_result | None] = {}
        self.files = self.bytes = self.creates = self.overwrites = self.repairs = self.keeps = 0
        self.overwritten: list[str] = []
        self.blocked = Causes()

    def add(self, entry: Entry, existing: Existing) -> None:
        """Count one entry."""
        if self._target.is_protected(entry.path):
            self.blocked.add(PROTECTED, entry.path)
            return
        if entry.type == FILE:
            self.files += 1
            self.bytes += entry.size
        try:
            found = existing.find(entry.path)
            if found is None:
                self.creates += 1
            elif not self._target.replaces:
                self.keeps += entry.type != DIRECTORY
            elif entry.type == DIRECTORY:
                self._directory(entry, found)
            else:
                self._other(entry, found)
        except BlockedError as error:
            self.blocked.add(str(error), entry.path)

    def _directory(self, entry: Entry, found: Found) -> None:
        if not stat.S_ISDIR(found.status.st_mode):
            reason = why_it_stays(self._target, found.place, found.name, entry.path, found.status)
            if reason:
                raise BlockedError(reason)
            self._overwrites(entry)
            return
        with contextlib.suppress(OSError):
            descriptor = self._target.open_directory(found.name, found.place.descriptor)
            try:
                self.repairs += self._needs_repair(entry, descriptor)
            finally:
                os.close(descriptor)

    def _other(self, entry: Entry, found: Found) -> None:
        if stat.S_ISDIR(found.status.st_mode):
            with contextlib.suppress(OSError):
                require_empty(self._target, found, entry.path)
        group = entry.links
        if group in self._first:
            self._link(entry, found, self._first[group])
            return
        right = False
        with contextlib.suppress(CorruptedBackupError), self._judge.same(entry, found) as descriptor:
            if descriptor is not None:
                right = True
                repair = self._needs_repair(entry, descriptor)
                self.repairs += repair
                self.keeps += not repair
        if not right:
            self._overwrites(entry)
        if group:
            self._first[group] = found.status if right else None

    def _link(self, entry: Entry, found: Found, first: os.stat_result | None) -> None:
        """Count another name of a file whose first name, if it stays as it is, is ``first``."""
        if first is not None and os.path.samestat(found.status, first):
            self.keeps += 1
        else:
            self._overwrites(entry)

    def _needs_repair(self, entry: Entry, descriptor: int) -> bool:
        return self._metadata.can_mend(by_descriptor(descriptor), entry)

    def _overwrites(self, entry: Entry) -> None:
        self.overwrites += 1
        if len(self.overwritten) < MOST_NAMED:
            self.overwritten.append(self._target.told(entry.path))
