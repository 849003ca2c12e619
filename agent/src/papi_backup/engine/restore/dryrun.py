# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a restore: everything a restore decides, without writing (wire.md: ``dry_run``)."""

from __future__ import annotations

from papi_backup.engine.format.entries import DIRECTORY, FILE, Entry
from papi_backup.engine.restore.choose import Chosen, check_volumes, choose
from papi_backup.engine.restore.existing import Existing
from papi_backup.engine.restore.fetch import SegmentSource
from papi_backup.engine.restore.outcome import told
from papi_backup.engine.restore.policy import Judge
from papi_backup.engine.restore.preflight import check_target
from papi_backup.engine.restore.scope import Surveyor
from papi_backup.engine.restore.select import Selector
from papi_backup.engine.restore.tally import Causes
from papi_backup.engine.restore.target import resolve_target
from papi_backup.engine.restore.tree import Target
from papi_backup.engine.storage.protocol import Storage, StorageOpener
from papi_backup.model.errors import CorruptedBackupError
from papi_backup.model.job import RestoreOrder, RestorePlanSummary

MOST_NAMED = 1000
"""Paths named as overwritten; the count tells of all."""


def plan_restore(order: RestoreOrder, opener: StorageOpener) -> RestorePlanSummary:
    """Tell which backup a restore would use and what it would do; writes nothing.

    Files on disk are compared as the restore would compare them.  Damage that the listing or the file
    list shows is a warning here.  Raises what :func:`run_restore` raises before it writes.
    """
    selector = Selector(order.options.include)
    target = resolve_target(order)
    storage = opener()
    try:
        return _plan(order, target, selector, storage)
    finally:
        storage.close()


def _plan(order: RestoreOrder, target: Target, selector: Selector, storage: Storage) -> RestorePlanSummary:
    chosen = choose(storage, order.options)
    source = SegmentSource(storage, chosen.opened, frozenset())
    lost = Causes()
    surveyor = Surveyor(source, chosen.opened, selector, lost)
    try:
        check = check_volumes(storage, chosen.opened, surveyor.index)
        scope = surveyor.scope()
        short = check_target(target, scope, surveyor)
        counts = _Counts(target, surveyor, chosen)
        with Existing(target) as existing:
            for entry in surveyor.selected(scope.leaves):
                counts.add(entry, existing)
    finally:
        source.close()
    warnings = [chosen.warning] if chosen.warning else []
    warnings += [f"{name} {what}" for name, what in check.wrong.items()]
    warnings.extend(told(causes) for causes in (lost, short) if causes)
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
        keeps=counts.keeps,
        overwritten=tuple(counts.overwritten),
        warnings=tuple(warnings),
    )


class _Counts:
    """Counts what would become of each entry; directories count only where they would be made."""

    def __init__(self, target: Target, surveyor: Surveyor, chosen: Chosen) -> None:
        self._target = target
        self._judge = Judge(target.overwrite, surveyor.index.items, chosen.opened.keys)
        self.files = self.bytes = self.creates = self.overwrites = self.keeps = 0
        self.overwritten: list[str] = []

    def add(self, entry: Entry, existing: Existing) -> None:
        """Count one entry."""
        if self._target.is_protected(entry.path) or not entry.path:
            return
        if entry.type == FILE:
            self.files += 1
            self.bytes += entry.size
        found = existing.find(entry.path)
        if entry.type == DIRECTORY:
            self.creates += found is None
            return
        try:
            verdict = self._judge.verdict(entry, found)
        except CorruptedBackupError:
            verdict = "create" if found is None else "replace"
        if verdict == "create":
            self.creates += 1
        elif verdict == "replace":
            self.overwrites += 1
            if len(self.overwritten) < MOST_NAMED:
                self.overwritten.append(self._target.told(entry.path))
        else:
            self.keeps += 1
