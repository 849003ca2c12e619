# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs jobs of a real agent over SFTP, S3 and a cluster while connections break and servers are killed.

    make torture-endurance                              # 300 jobs, at most 30 minutes
    scripts/torture-endurance --seed 7 --from 120       # goes on with job 120

Each job, its blows and its change of the tree come from the seed and the job's number alone.  The program
fails when anything was not as it should be, and says what repeats it.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from bench.measuring import StepFailedError

from endurance.calls import HungError
from endurance.drawing import PLACES, Place, draw
from endurance.places import Places, running_places
from endurance.resources import growth
from endurance.run import Run
from endurance.source import make_source

CHECK_SHARE = 0.25
"""Of the time, kept for restoring every backup once more at the end."""


def run_jobs(run: Run, seed: int, first: int, last: int, until: float) -> int:
    """Run the jobs up to ``last``, or until a time; return the number of the next."""
    run.begin()
    for number in range(first, last + 1):
        if time.monotonic() > until:
            return number
        known = len(run.wrong)
        run.job(number, draw(seed, number))
        for what in run.wrong[known:]:
            print(f"WRONG: {what}\n    repeat with --seed {seed} --from {number} --jobs {number}", flush=True)
    return last + 1


def tell(run: Run, places: Places, left_over: Mapping[Place, int]) -> None:
    """Print the figures."""
    connections = {place: places.proxies[place].connections for place in PLACES}
    print(*run.figures.lines(connections), sep="\n")
    state = sum(1 for path in (places.agent.directory / "state").rglob("*") if path.is_file())
    told = ", ".join(f"{place} {count}" for place, count in left_over.items())
    print(f"objects begun and not finished: {told}; files of the agent's state: {state}")


def torture(directory: Path, seed: int, options: argparse.Namespace) -> list[str]:
    """Run everything below a directory; return what was wrong."""
    source, began = directory / "source", time.monotonic()
    make_source(source, seed, options.first)
    until = began + options.minutes * 60 * (1 - CHECK_SHARE)
    with running_places(directory, source) as places:
        run = Run(places, source, directory, seed)
        try:
            following = run_jobs(run, seed, options.first, options.jobs, until)
            if following <= options.jobs:
                print(f"the time is over: --seed {seed} --from {following} goes on", flush=True)
            run.end()
            run.wrong += filter(None, [growth(run.figures.samples)])
        except (HungError, StepFailedError, OSError) as error:
            run.wrong.append(f"the run could not go on: {error!r}")
        tell(run, places, places.temporary_objects())
        return run.wrong


def main() -> int:
    """Run, print figures, and say whether everything was as it should be."""
    parser = argparse.ArgumentParser(description="Jobs over connections that break, each of them looked at.")
    parser.add_argument("--minutes", type=float, default=30.0, help="how long it may take")
    parser.add_argument("--jobs", type=int, default=300, help="the number of the last job")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--from", type=int, default=1, dest="first", help="the number of the first job")
    options = parser.parse_args()
    seed = secrets.randbits(32) if options.seed is None else options.seed
    began = time.monotonic()
    print(f"seed {seed}; jobs {options.first} to {options.jobs}; {options.minutes:g} minutes;", end=" ")
    print(f"{os.cpu_count()} cores", flush=True)
    directory = Path(tempfile.mkdtemp(prefix="papi-endurance-"))
    wrong = ["it was interrupted"]
    try:
        wrong = torture(directory, seed, options)
    finally:
        if not wrong:
            shutil.rmtree(directory, ignore_errors=True)
    print(f"{(time.monotonic() - began) / 60:.1f} minutes")
    if not wrong:
        print(f"everything was as it should be (seed {seed})")
        return 0
    print(*(f"WRONG: {what}" for what in wrong), sep="\n")
    print(f"{len(wrong)} things were wrong: --seed {seed} repeats them; what is left lies in {directory}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
