# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups a place must hold, and what each must restore as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from seen_trees import Tree

from kills.faults import expect
from papi_backup.model.catalog import CatalogEntry


@dataclass
class Ledger:
    """Every backup that was told or seen, by its id."""

    entries: dict[str, CatalogEntry] = field(default_factory=dict)
    trees: dict[str, Tree] = field(default_factory=dict)

    def see(self, listed: Sequence[CatalogEntry]) -> list[CatalogEntry]:
        """Return the backups that are new on the storage; none that was there may be gone."""
        there = {entry.backup for entry in listed}
        gone = [entry.path for backup, entry in self.entries.items() if backup not in there]
        expect(not gone, f"these backups are gone: {gone}")
        new = [entry for entry in listed if entry.backup not in self.entries]
        self.entries.update((entry.backup, entry) for entry in new)
        return new

    @property
    def oldest_first(self) -> list[CatalogEntry]:
        """All backups."""
        return sorted(self.entries.values(), key=lambda entry: (entry.date, entry.backup))

    def pick(self, share: float) -> CatalogEntry:
        """Return one of them, the newest where ``share`` is 1."""
        entries = self.oldest_first
        return entries[min(int(share * len(entries)), len(entries) - 1)]

    def trees_at(self, entry: CatalogEntry) -> list[Tree]:
        """Return what a restore of a backup's date may give: that of any backup of the same second."""
        return [self.trees[other.backup] for other in self.entries.values() if other.date == entry.date]
