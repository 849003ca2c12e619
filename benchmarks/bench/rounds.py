# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rounds: in each, every tool makes each step once, in an order that rotates."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.changes import apply_changes
from bench.comparing import differences
from bench.datasets import DataSet
from bench.measuring import Figures, StepFailedError
from bench.peers.protocol import BACKUPS, STEPS, Peer, Repository, Step, Task
from bench.servers import Place, S3Storage, SftpServer

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
    """All that was found out; ``failures`` and ``remarks`` are sentences."""

    measurements: list[Measurement] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Round:
    """One round on one data set and storage."""

    number: int
    data_set: DataSet
    server: SftpServer | S3Storage
    work: Path

    def run(self, peers: Sequence[Peer], results: Results, say: Say) -> None:
        """Run each step with all tools, one after the other."""
        turned = [*peers[self.number % len(peers) :], *peers[: self.number % len(peers)]] if peers else []
        with self._repositories(turned, results) as repositories:
            for step in STEPS:
                if step == "changed":
                    say(f"  {apply_changes(self.data_set.path, self.number)}")
                for peer in turned:
                    if step in peer.steps and peer.name in repositories:
                        self._measure(peer, repositories, step, results, say)

    @contextmanager
    def _repositories(self, peers: Sequence[Peer], results: Results) -> Iterator[dict[str, Repository]]:
        made: dict[str, Repository] = {}
        places: list[Place] = []
        tasks = self.work / "tasks"
        try:
            for peer in peers:
                name = f"{self.data_set.name}-{self.server.kind}-{self.number}-{peer.name.replace(' ', '-')}"
                place = Place(self.server, name)
                places.append(place)
                scratch = tasks / name
                scratch.mkdir(parents=True)
                try:
                    made[peer.name] = peer.create(Task(name, self.data_set.path, place, scratch))
                except StepFailedError as error:
                    results.failures.append(f"{self._title(peer)}: no repository: {error}")
            yield made
        finally:
            for repository in made.values():
                repository.remove()
            for place in places:
                place.remove()
            shutil.rmtree(tasks, ignore_errors=True)

    def _measure(
        self, peer: Peer, repositories: dict[str, Repository], step: Step, results: Results, say: Say
    ) -> None:
        title = f"{self._title(peer)}, {step}"
        repository = repositories[peer.name]
        try:
            if step in BACKUPS:
                figures = repository.back_up(step)
            elif step == "list":
                figures = repository.list_backups()
            else:
                figures = self._restore(repository, step, peer)
        except StepFailedError as error:
            results.failures.append(f"{title}: {error}")
            say(f"  FAILED {title}: {error}")
            if step in BACKUPS:
                del repositories[peer.name]
            return
        place = Place(
            self.server,
            f"{self.data_set.name}-{self.server.kind}-{self.number}-{peer.name.replace(' ', '-')}",
        )
        stored = place.bytes_stored() if step in BACKUPS else -1
        results.measurements.append(
            Measurement(self.data_set.name, self.server.kind, self.number, peer.name, step, figures, stored)
        )
        size = f"{stored / 1e6:9.1f} MB stored" if stored >= 0 else ""
        say(
            f"  {step:<12} {peer.name:<10} {figures.wall:8.2f} s {figures.cpu:8.2f} CPU s"
            f" {figures.peak / 1e6:8.1f} MB peak {size}"
        )

    def _restore(self, repository: Repository, step: Step, peer: Peer) -> Figures:
        target = self.work / "restored"
        target.mkdir()
        source, sample = self.data_set.path, self.data_set.sample
        try:
            if step == "restore":
                figures = repository.restore(target)
                wrong = differences(source, repository.where(source, target), peer.loses)
            else:
                figures = repository.restore_one(sample, target)
                restored = repository.where(sample, target)
                same = restored.is_file() and restored.read_bytes() == sample.read_bytes()
                wrong = "" if same else "the file is not as it was"
        finally:
            shutil.rmtree(target, ignore_errors=True)
        if wrong:
            raise StepFailedError(f"the restore differs from its source: {wrong}")
        return figures

    def _title(self, peer: Peer) -> str:
        return f"{self.data_set.name} over {self.server.kind}, round {self.number + 1}, {peer.name}"
