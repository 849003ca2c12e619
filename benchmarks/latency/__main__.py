# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make bench-latency``."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.comparing import differences
from bench.datasets import make_large, make_tree
from bench.measuring import Figures, StepFailedError
from bench.peers.protocol import Peer, Repository, Step, Task
from bench.providing import provide
from bench.servers import Place

from latency.far import FarServer, LineKind, far_server
from latency.report import HEADING, OURS, PEER, Run, verdicts

CACHE = Path(__file__).parents[2] / ".cache"
STEPS: tuple[Step, ...] = ("full", "unchanged", "restore")
LARGE, TREE = 0.1, 0.066
"""Shares of the benchmark's data sets: 200 MB in large files, 100 MB in small ones."""
CUTS, CUT = 3, "ours, cut"


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


class Latency:
    """Runs the steps of all tools, one after the other."""

    def __init__(self, options: argparse.Namespace, far: FarServer, peers: Sequence[Peer]) -> None:
        self._options = options
        self._far = far
        self._peers = peers
        self._source = options.work / "data"
        self._kind = LineKind(options.delay, options.rate, options.stall_every, options.stall_length)
        self.runs: list[Run] = []

    def make_data(self) -> None:
        """Make what is backed up."""
        for name, make, share in (("large", make_large, LARGE), ("tree", make_tree, TREE)):
            path = self._source / name
            path.mkdir(parents=True)
            say(make(path, share * self._options.scale))

    def round(self, number: int) -> None:
        """Run each step with each tool; another one begins in each round."""
        turn = number % len(self._peers)
        turned = [*self._peers[turn:], *self._peers[:turn]]
        with contextlib.ExitStack() as made:
            repositories = {peer.name: self._create(peer, f"{number}", made) for peer in turned}
            for step in STEPS:
                for peer in turned:
                    self._measure(repositories[peer.name], step, peer.name, number)

    def cut(self) -> None:
        """Back up and restore with ours while the line is cut three times."""
        sent = max(run.up for run in self.runs if (run.step, run.peer) == ("full", OURS))
        cuts = [sent * (number + 1) // (CUTS + 1) for number in range(CUTS)]
        ours = next(peer for peer in self._peers if peer.name == OURS)
        with contextlib.ExitStack() as made:
            repository = self._create(ours, "cut", made)
            again = self._measure(repository, "full", CUT, 0, cuts).up - sent
            self._measure(repository, "restore", CUT, 0)
        say(f"cut {CUTS} times: {again / 1e6:.1f} MB sent again of {sent / 1e6:.1f}")

    def _create(self, peer: Peer, name: str, made: contextlib.ExitStack) -> Repository:
        place = Place(self._far.server, f"{peer.name}-{name}")
        scratch = self._options.work / f"scratch-{peer.name}-{name}"
        scratch.mkdir()
        with self._far.line(self._kind):
            repository = peer.create(Task(place.name, self._source, place, scratch))
        made.callback(place.remove)
        made.callback(repository.remove)
        return repository

    def _measure(
        self, repository: Repository, step: Step, peer: str, number: int, cuts: Sequence[int] = ()
    ) -> Run:
        with self._far.line(self._kind, cuts) as carried:
            figures = self._restore(repository) if step == "restore" else repository.back_up(step)
        run = Run(step, peer, number, figures.wall, figures.cpu, carried.up, carried.down, carried.cuts)
        self.runs.append(run)
        if run.cuts != len(cuts):
            raise StepFailedError(f"{step}: cut {run.cuts} times")
        say(
            f"  {step:<10} {peer:<10} {run.wall:7.2f} s {run.cpu:6.2f} CPU s"
            f" {run.up / 1e6:8.1f} MB up {run.down / 1e6:8.1f} MB down"
        )
        return run

    def _restore(self, repository: Repository) -> Figures:
        target = self._options.work / "restored"
        target.mkdir()
        try:
            figures = repository.restore(target)
            wrong = differences(self._source, repository.where(self._source, target), ())
        finally:
            shutil.rmtree(target)
        if wrong:
            raise StepFailedError(f"the restore differs from its source: {wrong}")
        return figures


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench-latency", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of 300 MB (default 1)")
    parser.add_argument("--delay", type=float, default=0.025, help="seconds each way (default 0.025)")
    parser.add_argument("--rate", type=float, default=25e6, help="bytes a second each way (default 25e6)")
    parser.add_argument("--stall-every", type=float, default=10.0, help="seconds; 0 for never (default 10)")
    parser.add_argument("--stall-length", type=float, default=2.0, help="seconds (default 2)")
    parser.add_argument("--work", type=Path, default=CACHE / "bench-latency", help="for data; emptied")
    return parser.parse_args(arguments)


def _stop(*details: object) -> None:
    del details
    sys.exit(143)


def main() -> int:
    """Run it; the exit status is 1 where a step failed or a bound is missed."""
    options = parse(sys.argv[1:])
    signal.signal(signal.SIGTERM, _stop)  # what runs is ended, and the data removed
    shutil.rmtree(options.work, ignore_errors=True)
    options.work.mkdir(parents=True)
    try:
        with contextlib.ExitStack() as running:
            provided = provide((OURS, PEER), CACHE / "bench", options.work, running)
            for name, reason in provided.left_out.items():
                say(f"left out: {name}: {reason}")
            far = running.enter_context(far_server(options.work / "far"))
            latency = Latency(options, far, provided.peers)
            latency.make_data()
            for number in range(options.rounds):
                say(f"round {number + 1}")
                latency.round(number)
            latency.cut()
    except StepFailedError as error:
        say(f"FAILED {error}")
        return 1
    finally:
        shutil.rmtree(options.work, ignore_errors=True)
    found = verdicts(latency.runs, options.rate)
    say("\n".join(("", HEADING, *map(str, found))))
    result = CACHE / "bench-latency.json"
    result.write_text(json.dumps([dataclasses.asdict(run) for run in latency.runs], indent=1))
    say(f"written to {result}")
    return 0 if all(verdict.is_kept for verdict in found) else 1


if __name__ == "__main__":
    sys.exit(main())
