# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rounds: in each, every tool makes each step once, in an order that rotates."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.changes import apply_changes
from bench.comparing import differences
from bench.datasets import DataSet
from bench.measuring import Figures, StepFailedError, have_memory
from bench.peers.protocol import BACKUPS, STEPS, Peer, Repository, Step, Task
from bench.servers import Place, Server

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One step of one tool.  ``stored``: bytes on the storage after it, -1 where it did not change."""

    data_set: str
    storage: str
    round: int
    peer: str
    step: Step
    figures: Figures
    stored: int = -1


@dataclass(slots=True)
class Results:
    """All that was found out.  ``failures`` and ``left_out`` are sentences, ``data_sets`` remarks by name."""

    measurements: list[Measurement] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    data_sets: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Round:
    """One round on one data set and storage."""

    number: int
    data_set: DataSet
    server: Server
    work: Path
    say: Say

    def run(self, peers: Sequence[Peer], results: Results) -> None:
        """Run each step with all tools, one after the other."""
        first = self.number % len(peers) if peers else 0
        turned = [*peers[first:], *peers[:first]]
        with self._repositories(turned, results) as repositories:
            for step in STEPS:
                if step == "changed":
                    self.say(f"  {apply_changes(self.data_set.path, self.number)}")
                for peer in turned:
                    if step in peer.steps and peer.name in repositories:
                        self._attempt(peer, repositories, step, results)

    @contextmanager
    def _repositories(self, peers: Sequence[Peer], results: Results) -> Iterator[dict[str, Repository]]:
        made: dict[str, Repository] = {}
        tasks = self.work / "tasks"
        try:
            for peer in peers:
                place = self._place(peer)
                scratch = tasks / place.name
                scratch.mkdir(parents=True)
                try:
                    made[peer.name] = peer.create(Task(place.name, self.data_set.path, place, scratch))
                except StepFailedError as error:
                    self._fail(f"{self._title(peer)}, new repository: {error}", results)
            yield made
        finally:
            for repository in made.values():
                repository.remove()
            for peer in peers:
                self._place(peer).remove()
            shutil.rmtree(tasks, ignore_errors=True)

    def _attempt(self, peer: Peer, repositories: dict[str, Repository], step: Step, results: Results) -> None:
        """Measure one step.  A tool whose backup failed takes no part in the rest of the round."""
        if step in ("full", "restore"):
            have_memory(2 * self.data_set.size)
        try:
            figures = self._do(peer, repositories[peer.name], step)
        except StepFailedError as error:
            self._fail(f"{self._title(peer)}, {step}: {error}", results)
            if step in BACKUPS:
                repositories.pop(peer.name).remove()
            return
        stored = self._place(peer).bytes_stored() if step in BACKUPS else -1
        data_set, storage = self.data_set.name, self.server.kind
        found = Measurement(data_set, storage, self.number, peer.name, step, figures, stored)
        results.measurements.append(found)
        size = f"{stored / 1e6:9.1f} MB stored" if stored >= 0 else ""
        self.say(
            f"  {step:<12} {peer.name:<10} {figures.wall:8.2f} s {figures.cpu:8.2f} CPU s"
            f" {figures.peak / 1e6:8.1f} MB peak {size}"
        )

    def _do(self, peer: Peer, repository: Repository, step: Step) -> Figures:
        if step in BACKUPS:
            return repository.back_up(step)
        if step == "list":
            return repository.list_backups()
        target = self.work / "restored"
        target.mkdir()
        try:
            if step == "restore":
                return self._restore(peer, repository, target)
            return self._restore_one(repository, target)
        finally:
            shutil.rmtree(target, ignore_errors=True)

    def _restore(self, peer: Peer, repository: Repository, target: Path) -> Figures:
        figures = repository.restore(target)
        source = self.data_set.path
        wrong = differences(source, repository.where(source, target), peer.loses)
        if wrong:
            raise StepFailedError(f"what was restored is not the source: {wrong}")
        return figures

    def _restore_one(self, repository: Repository, target: Path) -> Figures:
        sample = self.data_set.sample
        figures = repository.restore_one(sample, target)
        restored = repository.where(sample, target)
        if not restored.is_file() or restored.read_bytes() != sample.read_bytes():
            raise StepFailedError("the file that was restored is not as it was")
        return figures

    def _place(self, peer: Peer) -> Place:
        name = peer.name.replace(" ", "-")
        return Place(self.server, f"{self.data_set.name}-{self.server.kind}-{self.number}-{name}")

    def _fail(self, sentence: str, results: Results) -> None:
        results.failures.append(sentence)
        self.say(f"  FAILED: {sentence}")

    def _title(self, peer: Peer) -> str:
        return f"{self.data_set.name} over {self.server.kind}, round {self.number + 1}, {peer.name}"
