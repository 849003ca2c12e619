# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make bench``: status 0 when all that could be measured was, 1 when a step failed."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from bench.machine import describe
from bench.missing import MissingError
from bench.options import Options, parse
from bench.report import PAGE, Report
from bench.room import empty_directory
from bench.running import Run
from bench.terminal import text_of

CACHE = Path(__file__).parents[2] / ".cache" / "bench"


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def main(arguments: list[str]) -> int:
    """Run the benchmark and write its report."""
    os.environ.pop("PYTHONPATH", None)  # what runs from here on has its own
    options = parse(arguments, CACHE)
    signal.signal(signal.SIGTERM, _stop)
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stderr.write("bench: another benchmark runs in this checkout\n")
            return 2
        return _measure(options)


def _stop(*details: object) -> None:
    del details
    sys.exit(143)


def _measure(options: Options) -> int:
    began = time.monotonic()
    try:
        empty_directory(options.work)
    except MissingError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 2
    run = Run(options, CACHE, say)
    try:
        machine = describe(options.work)
        run.run()
    finally:
        shutil.rmtree(options.work, ignore_errors=True)
    seconds = time.monotonic() - began
    report = Report(options, machine, run.peers, run.results, seconds, datetime.now(UTC))
    report.write(options.output)
    say(text_of(report))
    say(f"\n{seconds / 60:.1f} minutes; the report is {options.output / PAGE}")
    return 1 if run.results.failures or not run.results.measurements else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
