# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An agent whose processes are killed while it backs up, restores and is configured."""

from __future__ import annotations

import random
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

from seen_trees import Tree, tree_on_disk

from kills.apart import apart
from kills.changes import Changes
from kills.client import Fields, KilledAgent
from kills.faults import expect
from kills.ledger import Ledger
from kills.places import Place
from kills.points import Point
from kills.readers import READERS, Reading, compare
from kills.trees import change, grow
from papi_backup.engine.catalog import list_backups
from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.schedule import BackupConfig
from papi_backup.model.secret import Secret
from papi_backup.state.store import Store

NAME, HOST = "main", "host.example"
SUCCESS = "success"


@dataclass
class ApiStory:
    """One agent with one configuration on one place."""

    place: Place
    directory: Path
    chance: random.Random
    agent: KilledAgent = field(init=False)
    reading: Reading = field(init=False)
    ledger: Ledger = field(default_factory=Ledger)
    seconds: dict[str, float] = field(default_factory=dict)
    saved: Tree = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("tree", "outside", "scratch", "agent"):
            (self.directory / name).mkdir()
        (self.directory / "outside" / "kept").write_bytes(b"nobody writes here")
        self.key = self.chance.choice(("", "the key of a story"))
        self.tree = self.directory / "tree"
        self.agent = KilledAgent(self.directory / "agent", HOST)
        self.reading = Reading(self.place, HOST, NAME, self.key, self.tree, self.directory / "scratch")
        self.changes = Changes(self.agent)

    def begin(self) -> None:
        """Configure the agent, make the first full and the first incremental, and restore once."""
        state = self.directory / "agent" / "state"
        state.mkdir(mode=0o700)
        with Store.open(state) as store:
            access = self.place.access
            if access.ssh_id is not None:
                store.ssh_ids.add(access.ssh_id)
            storage_id = store.storages.add(access.storage).storage_id
            store.configs.add(BackupConfig(NAME, storage_id, Secret(self.key), paths=(str(self.tree),)))
        self.agent.agent.start()
        grow(self.tree, self.chance)
        self._back_up("full")
        change(self.tree, self.chance.getrandbits(32))
        self._back_up("inc")

    def play(self, point: Point) -> str:
        """Kill once and look at everything; return words."""
        play = {"changes": self._changes, "restore": self._restore}.get(point.action, self._backup)
        words = play(point)
        newest, earlier = self.ledger.pick(1), self.ledger.pick(point.earlier)
        self.reading.check(point.newest, newest, self.ledger.trees_at(newest))
        self.reading.check(point.other, earlier, self.ledger.trees_at(earlier))
        return f"{point.action}, {words}"

    def end(self) -> str:
        """Restore every date with both readers; return words."""
        self._agree()
        for entry in self.ledger.oldest_first:
            for reader in READERS:
                self.reading.check(reader, entry, self.ledger.trees_at(entry))
        return f"{len(self.ledger.entries)} dates with both readers"

    def close(self) -> None:
        """End the agent."""
        self.agent.agent.stop()

    def _changes(self, point: Point) -> str:
        words = self.changes.killed(point)
        self._back_up("inc")
        return words

    def _backup(self, point: Point) -> str:
        chance = random.Random(point.changes)  # noqa: S311 (repeatable, no secret)
        change(self.tree, chance.getrandbits(32))
        self.saved = tree_on_disk(self.tree)
        job_id = int(self.agent.call("backup/run", backup_name=NAME, backup_type=point.action)["job_id"])
        words = self._kill(point, job_id)
        self._look()
        told = self.agent.job(job_id)
        self._agree()
        change(self.tree, chance.getrandbits(32))
        self._back_up("inc")
        return f"{words}: {_told(told)}"

    def _restore(self, point: Point) -> str:
        entry, target = self.ledger.pick(point.earlier), self.directory / "target"
        target.mkdir()
        outside = self._outside()
        job_id = self._ask_restore(entry, target)
        words = self._kill(point, job_id)
        told = self.agent.job(job_id)
        trees, what = self.ledger.trees_at(entry), f"{entry.path}, restored by the agent"
        expect(self._outside() == outside, "a restore that died touched what is not in its target")
        if told["job_status"] == SUCCESS:
            compare(target, self.tree, trees, what)
        begun = time.monotonic()
        again = self.agent.ended(self._ask_restore(entry, target))
        self.seconds["restore"] = time.monotonic() - begun
        expect(again["job_status"] == SUCCESS, f"a restore that died cannot be run again: {again}")
        compare(target, self.tree, trees, f"{what} again")
        expect(self._outside() == outside, "a restore touched what is not in its target")
        shutil.rmtree(target)
        return f"{words}: {_told(told)}"

    def _ask_restore(self, entry: CatalogEntry, target: Path) -> int:
        answer = self.agent.call(
            "backup/restore",
            storage_name=self.place.access.storage.storage_name,
            backup_name=NAME,
            restore_date=f"{entry.date:%Y-%m-%dT%H:%M:%S}Z",
            encryption_key=self.key,
            target_dir=str(target),
        )
        return int(answer["job_id"])

    def _kill(self, point: Point, job_id: int) -> str:
        """Kill after a part of the time that such a job takes; have the agent run, and wait for its jobs."""
        pause = point.share * self.seconds.get(point.action, 1.0)
        time.sleep(pause)
        victim = self.agent.kill(point.victim, lambda: bool(self.agent.job(job_id)["end_date"]))
        if victim in ("agent", "all"):
            self.agent.start_again()
        self.agent.quiet()
        return f"{victim} killed after {pause:.2f} s"

    def _back_up(self, kind: str) -> None:
        """Make a backup that nobody kills; it must succeed, and the jobs must agree with the storage then."""
        before, self.saved = self.saved, tree_on_disk(self.tree)
        begun = time.monotonic()
        job = self.agent.ended(
            int(self.agent.call("backup/run", backup_name=NAME, backup_type=kind)["job_id"])
        )
        self.seconds[kind] = time.monotonic() - begun
        expect(job["job_status"] == SUCCESS, f"the next backup fails: {job}")
        new = self._listed()
        expect(new, f"a backup was told as a success and is not there: {job}")
        *late, own = new
        for entry in late:
            # The storage finished the last request of a worker that was dead already.
            self.ledger.trees[entry.backup] = before
        self.ledger.trees[own.backup] = self.saved
        self._agree()

    def _look(self) -> None:
        """Take note of the backups that are new on the storage: they were made of the tree as it is."""
        for entry in self._listed():
            self.ledger.trees[entry.backup] = self.saved

    def _listed(self) -> list[CatalogEntry]:
        return self.ledger.see(apart(lambda: list_backups(self.place.open(), HOST, NAME)))

    def _agree(self) -> None:
        """Each manifest has its job, and each job that is told as a success its manifest."""
        expect(not self._listed(), "a backup came to be after all jobs had ended")
        done = [job for job in self.agent.jobs() if job["job_type"] == "backup"]
        told, there = sum(job["job_status"] == SUCCESS for job in done), len(self.ledger.entries)
        expect(told == there, f"{told} backups are told as successes, and {there} are there")

    def _outside(self) -> tuple[Tree, Tree]:
        """Return what no restore may touch."""
        return tree_on_disk(self.tree), tree_on_disk(self.directory / "outside")


def _told(job: Fields) -> str:
    return str(job["job_status"])
