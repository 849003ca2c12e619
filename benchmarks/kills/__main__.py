# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills jobs and agents at points that a seed decides, and looks after each whether anything was lost.

    make torture-kills                      # 500 points, at most 30 minutes
    scripts/torture-kills --seed 7 --from 120 --points 1

A point is one SIGKILL: of a backup or a restore of the engine in a call of its storage, or of an agent, its
worker or its helper.  After each, every backup that was told must restore.  Eight points in a row share a
storage's place: one that is repeated is led to by those before it.  The seed is printed first.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

from kills.places import remove, running
from kills.playing import Stage, Told, play, say
from kills.points import STORAGES, StorageKind, Story, stories


def played(stage: Stage, chosen: list[tuple[Story, range]], at_once: int) -> Iterator[Told]:
    """Play stories, some at a time, and yield each when it is over; none begins after the time."""
    waiting = iter(chosen)
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(at_once, mp_context=context) as pool:
        under_way: set[Future[Told]] = set()
        while True:
            while len(under_way) < at_once and time.monotonic() < stage.deadline:
                story, counted = next(waiting, (None, range(0)))
                if story is None:
                    break
                under_way.add(pool.submit(play, stage, story, counted))
            if not under_way:
                return
            over, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in over)


def parsed() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Kills of jobs and agents, and what is left after them.")
    parser.add_argument("--minutes", type=float, default=30.0, help="no point begins later")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--from", type=int, default=0, dest="first", help="the number of the first point")
    parser.add_argument("--points", type=int, default=500)
    parser.add_argument("--storage", choices=STORAGES, default=None, help="this kind alone")
    parser.add_argument("--at-once", type=int, default=2, help="how many places are at work")
    return parser.parse_args()


def report(
    options: argparse.Namespace, seed: int, told: list[Told], chosen: list[tuple[Story, range]]
) -> bool:
    """Print figures, and what repeats each fault; return whether nothing was lost."""
    again = f"scripts/torture-kills --seed {seed}"
    storage = f" --storage {options.storage}" if options.storage else ""
    counts = Counter(action for one in told for action in one.done)
    for action, count in sorted(counts.items()):
        say(f"{count:>5} {action}")
    faults = [one for one in told if one.lost_at is not None]
    for one in faults:
        say(f"\n{one.failure}repeat: {again} --from {one.lost_at} --points 1{storage}")
    say(f"{counts.total()} points, {len(faults)} faults (seed {seed})")
    done = {one.story.number: counted.start + len(one.done) for one, counted in _with(told, chosen)}
    left = [(done.get(story.number, counted.start), counted.stop) for story, counted in chosen]
    unplayed = [number for number, stop in left if number < stop]
    if unplayed and not faults:
        first = min(unplayed)
        rest = options.first + options.points - first
        say(f"the time was over; go on with: {again} --from {first} --points {rest}{storage}")
    return not faults


def _with(told: list[Told], chosen: list[tuple[Story, range]]) -> Iterator[tuple[Told, range]]:
    counted = {story.number: numbers for story, numbers in chosen}
    return ((one, counted[one.story.number]) for one in told)


def main() -> int:
    """Kill, print figures, and say whether anything was lost."""
    # So that the servers end with whoever is told to end.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = parsed()
    seed = secrets.randbits(32) if options.seed is None else options.seed
    say(
        f"seed {seed}; points {options.first} to {options.first + options.points - 1}; {os.cpu_count()} cores"
    )
    kinds: tuple[StorageKind, ...] = (options.storage,) if options.storage else STORAGES
    chosen = stories(seed, options.first, options.points, kinds)
    base = Path(tempfile.mkdtemp(prefix="papi-kills-"))
    with running(base, kinds) as servers:
        stage = Stage(servers, base, time.monotonic() + options.minutes * 60)
        told = list(played(stage, chosen, options.at_once))
    holds = report(options, seed, told, chosen)
    if holds:
        remove(base)
    else:
        say(f"what the faults left is in {base}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
