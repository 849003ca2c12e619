# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups and restores of the engine that die in a call of their storage."""

from __future__ import annotations

import os
import random
import secrets
import shutil
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from backing_host import Host
from seen_trees import Tree, tree_on_disk

from kills.apart import Done, apart, attempt
from kills.dying import Calls, Death, DyingOpener
from kills.faults import expect
from kills.ledger import Ledger
from kills.places import Place
from kills.points import Point
from kills.readers import READERS, Reading, compare
from kills.trees import change, grow
from papi_backup.engine.backup.result import find_backup
from papi_backup.engine.catalog import list_backups
from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.job import BackupOrder, FoundBackup, JobResult
from papi_backup.model.schedule import BackupType

ATTEMPTS = 3
"""How often a job is run whose calls were fewer than the one in which it was to die."""


@dataclass
class NumberedHost(Host):
    """A host that knows the id of its next backup, as an agent does."""

    backup: str = ""

    def order(self, backup_type: BackupType = "inc") -> BackupOrder:
        """See ``Host.order``."""
        return replace(super().order(backup_type), backup=self.backup)

    def remember(self, result: JobResult) -> None:
        """Learn what an agent learns of a backup that another process made."""
        self.high_water = result.high_water
        if result.chain_key is not None:
            self.chain_keys[result.chain] = result.chain_key


@dataclass
class EngineStory:
    """One host with one name on one place."""

    place: Place
    directory: Path
    chance: random.Random
    host: NumberedHost = field(init=False)
    reading: Reading = field(init=False)
    ledger: Ledger = field(default_factory=Ledger)
    counts: dict[tuple[str, int], dict[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("tree", "outside", "state", "cache", "scratch"):
            (self.directory / name).mkdir()
        (self.directory / "outside" / "kept").write_bytes(b"nobody writes here")
        key = self.chance.choice(("", "the key of a story"))
        self.host = NumberedHost(self.directory, self.place.open, key)
        tree, scratch = self.host.tree, self.directory / "scratch"
        self.reading = Reading(self.place, self.host.name, "etc", key, tree, scratch)

    def begin(self) -> None:
        """Make the first full and the first incremental."""
        grow(self.host.tree, self.chance)
        self._back_up("full")
        change(self.host.tree, self.chance.getrandbits(32))
        self._back_up("inc")

    def play(self, point: Point) -> str:
        """Have one job die and look at everything; return words."""
        self.host.helpers = point.helpers
        died = self._dying_restore(point) if point.action == "restore" else self._dying_backup(point)
        self._check(point)
        return f"{point.action}, {point.helpers} helpers, {died}"

    def end(self) -> str:
        """Restore every date with both readers; return words."""
        self._look()
        for entry in self.ledger.oldest_first:
            for reader in READERS:
                self.reading.check(reader, entry, self.ledger.trees_at(entry))
        return f"{len(self.ledger.entries)} dates with both readers"

    def close(self) -> None:
        """Nothing of it runs."""

    def _dying_backup(self, point: Point) -> str:
        kind: BackupType = "full" if point.action == "full" else "inc"
        chance = random.Random(point.changes)  # noqa: S311 (repeatable, no secret)
        for _number in range(ATTEMPTS):
            change(self.host.tree, chance.getrandbits(32))
            death = self._death(point)
            done = self._attempt(kind, death)
            if done is None:
                exists = self._settle(point)
                change(self.host.tree, chance.getrandbits(32))
                self._back_up("inc")
                return f"{death}: {'a backup' if exists else 'no backup'}"
        return "outlived its death"

    def _dying_restore(self, point: Point) -> str:
        entry, target = self.ledger.pick(point.earlier), self.directory / "target"
        target.mkdir()
        outside = self._outside()
        words = "outlived its death"
        for _number in range(ATTEMPTS):
            death = self._death(point)
            calls = Calls()
            opener = DyingOpener(self.place.access, calls, death)
            done = attempt(partial(self.host.restore, target, entry.date, opener=opener))
            if done is None:
                words = str(death)
                break
            self.counts[point.action, point.helpers] = calls.made
        expect(self._outside() == outside, "a restore that died touched what is not in its target")
        apart(lambda: self.host.restore(target, entry.date))
        compare(target, self.host.tree, self.ledger.trees_at(entry), f"{entry.path}, restored again")
        expect(self._outside() == outside, "a restore touched what is not in its target")
        shutil.rmtree(target)
        return words

    def _death(self, point: Point) -> Death | None:
        """Return when to die, as far as is known how many calls there will be."""
        counts = self.counts.get((point.action, point.helpers))
        if counts is None:
            return None
        method = next(method for method in point.methods if counts.get(method))
        return Death(method, 1 + int(point.share * counts[method]), point.after)

    def _back_up(self, kind: BackupType) -> None:
        expect(self._attempt(kind, None), "a backup that nobody killed died")

    def _attempt(self, kind: BackupType, death: Death | None) -> Done[JobResult] | None:
        """Back up; None where it died.  What it told of itself must lie on the storage."""
        calls = Calls()
        self.host.backup = secrets.token_hex(8)
        self.ledger.trees[self.host.backup] = tree_on_disk(self.host.tree)
        opener = DyingOpener(self.place.access, calls, death)
        done = attempt(lambda: self.host.back_up(kind, opener))
        self.host.clock += timedelta(hours=1)
        new = self._look()
        expect([entry.backup for entry in new] in ([], [self.host.backup]), f"stray backups: {new}")
        if done is not None:
            expect(new, f"the backup {self.host.backup} was told as a success and is not there")
            self.counts[kind, self.host.helpers] = calls.made
            self.host.remember(done.value)
        return done

    def _settle(self, point: Point) -> bool:
        """Ask the storage whether the backup that died exists; it must say what its listing says."""
        order = self.host.order()
        exists = self.host.backup in self.ledger.entries
        found = apart(lambda: self._find(order))
        expect((found.result is not None) == exists, f"the search for {self.host.backup} says {found}")
        if found.result is not None and point.settles:
            self.host.remember(found.result)
        return exists

    def _find(self, order: BackupOrder) -> FoundBackup:
        storage = self.place.open()
        try:
            return find_backup(storage, order)
        finally:
            storage.close()

    def _look(self) -> list[CatalogEntry]:
        return self.ledger.see(apart(lambda: list_backups(self.place.open(), self.host.name, "etc")))

    def _check(self, point: Point) -> None:
        newest, earlier = self.ledger.pick(1), self.ledger.pick(point.earlier)
        self.reading.check(point.newest, newest, self.ledger.trees_at(newest))
        self.reading.check(point.other, earlier, self.ledger.trees_at(earlier))

    def _outside(self) -> tuple[Tree, Tree, list[str]]:
        """Return what no restore may touch."""
        tree, outside = tree_on_disk(self.host.tree), tree_on_disk(self.directory / "outside")
        return tree, outside, sorted(os.listdir(self.directory))
