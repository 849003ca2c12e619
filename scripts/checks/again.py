# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one test many times beside busy cores: ``python -m checks.again TEST [--times 30] [--busy N]``.

A test that fails one time in thirty is a failing test, and cores that are busy find it sooner.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from checks.running import Outcome, Run, begin
from checks.steps import Step, pytest_step

_BUSY = (
    "import os, sys\nwhile os.getppid() == int(sys.argv[1]):\n    for _ in range(1_000_000):\n        pass\n"
)
"""A busy core whose starter is gone, however it went, becomes idle by itself."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if every run passed, 1 if one failed, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="make again", description=__doc__)
    parser.add_argument("test", help="what pytest takes: tests/room/test_x.py, or with ::test_y behind it")
    parser.add_argument("--times", type=_number, default=30, metavar="N")
    parser.add_argument("--busy", type=int, default=os.cpu_count() or 1, metavar="N", help="busy cores")
    parser.add_argument("--at-once", type=_number, default=1, metavar="N", help="runs at the same time")
    options = parser.parse_args(arguments)
    directory, test = place_of(options.test)
    if not directory:
        parser.error(f"there is no test {options.test!r}, neither in agent/ nor here")
    step = pytest_step(test, test, targets=(), directory=directory)
    print(f"{options.times} runs of {test} beside {options.busy} busy cores", flush=True)
    with busy_cores(options.busy):
        outcomes = _Repetition(begin(), step).run(options.times, options.at_once)
    print(totals(outcomes), flush=True)
    return 1 if any(outcome.failed for outcome in outcomes) else 0


def place_of(test: str) -> tuple[str, str]:
    """Return the directory that pytest is to run in and the test as seen from there; "" when it is in none.

    What the agent and the collection both have is the agent's.
    """
    path, _colons, name = test.partition("::")
    path = path.removeprefix("agent/")
    for directory in ("agent", "."):
        if path and (Path(directory) / path).exists():
            return directory, "::".join(part for part in (path, name) if part)
    return "", test


@contextlib.contextmanager
def busy_cores(number: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Keep that many cores busy meanwhile."""
    loops = [subprocess.Popen([sys.executable, "-c", _BUSY, str(os.getpid())]) for _core in range(number)]
    try:
        yield loops
    finally:
        for loop in loops:
            loop.kill()
        for loop in loops:
            loop.wait()


def totals(outcomes: Sequence[Outcome]) -> str:
    """Return the last line: how many runs went how, and the slowest."""
    failed = sum(bool(outcome.failed) for outcome in outcomes)
    seconds = [outcome.seconds for outcome in outcomes]
    mean = sum(seconds) / len(seconds)
    return (
        f"{len(seconds)} runs: {len(seconds) - failed} passed, {failed} failed; "
        f"slowest {max(seconds):.1f} s, mean {mean:.1f} s"
    )


class _Repetition:
    """Runs of one step until the first failure."""

    def __init__(self, run: Run, step: Step) -> None:
        self._run = run
        self._step = step
        self._outcomes: list[Outcome] = []
        self._failed = False
        self._deciding = threading.Lock()

    def run(self, times: int, at_once: int) -> list[Outcome]:
        """Return how each run went that was not ended because another had failed."""
        numbers = iter(range(1, times + 1))
        with ThreadPoolExecutor(at_once) as pool:
            runners = [pool.submit(self._go_through, numbers) for _runner in range(at_once)]
            try:
                for runner in runners:
                    runner.result()
            except BaseException:
                self._run.stop()
                raise
        return self._outcomes

    def _go_through(self, numbers: Iterator[int]) -> None:
        for number in numbers:
            if self._failed:
                return
            with tempfile.TemporaryFile() as output:
                outcome = self._run.do(self._step, output)
                with self._deciding:
                    if self._failed:
                        return
                    self._failed = bool(outcome.failed)
                    self._outcomes.append(outcome)
                    verdict = "FAILED" if outcome.failed else "passed"
                    print(f"{number:4} {verdict} in {outcome.seconds:.1f} s", flush=True)
                    if outcome.failed:
                        self._run.show(self._step, output)
                        self._run.stop()


def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than one")
    return number


if __name__ == "__main__":
    sys.exit(main())
