# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the steps of a target: ``python -m checks all|quick|lint``."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from checks.missing_parts import NOTES_VARIABLE
from checks.steps import BIN, TARGETS, Step, steps_of
from checks.survivors import end_survivors

RUN_VARIABLE = "PAPI_TEST_RUN"
STEP_SECONDS = 2400.0
_RESULTS = Path(".cache/results")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one step went; a linter counts as one."""

    step: Step
    passed: int
    failed: int
    seconds: float
    remark: str = ""


def main(arguments: Sequence[str]) -> int:
    """Run every step, also after a failed one; return 0 if all passed, 1 if not, 2 for wrong usage."""
    if len(arguments) != 1 or arguments[0] not in TARGETS:
        sys.stderr.write(f"usage: scripts/test {'|'.join(TARGETS)}\n")
        return 2
    _RESULTS.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, _stop)
    run = _Run(secrets.token_hex(8))
    steps = steps_of(arguments[0])
    outcomes = [run.do(step) for step in steps if not step.lane]
    lanes = dict.fromkeys(step.lane for step in steps if step.lane)
    outcomes += run.side_by_side([[step for step in steps if step.lane == lane] for lane in lanes])
    return _tell(outcomes, run.notes())


def _stop(*details: object) -> None:
    del details
    sys.exit(143)


class _Run:
    """The environment that all processes of one run inherit, and what they leave in it."""

    def __init__(self, run_id: str) -> None:
        self._id = run_id
        self._notes = (_RESULTS / f"missing-{run_id}").absolute()
        self._numbers = itertools.count(1)
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False
        self._printing = threading.Lock()

    def side_by_side(self, lanes: Sequence[Sequence[Step]]) -> list[Outcome]:
        """Run the lanes at the same time, the steps of each in order; each one's output comes as a whole."""
        if not lanes:
            return []
        with ThreadPoolExecutor(len(lanes)) as pool:
            futures = [pool.submit(self._lane, lane) for lane in lanes]
            try:
                return [outcome for future in futures for outcome in future.result()]
            except BaseException:
                self._stopped = True
                for process in list(self._running):
                    _end(process)
                raise

    def _lane(self, steps: Sequence[Step]) -> list[Outcome]:
        outcomes = []
        for step in steps:
            if self._stopped:
                break
            with tempfile.TemporaryFile() as output:
                outcomes.append(self.do(step, output))
        return outcomes

    def do(self, step: Step, output: IO[bytes] | None = None) -> Outcome:
        """Run one step and look for what it left running; with ``output`` it is shown when it is over."""
        started = time.monotonic()
        run_id = f"{self._id}-{next(self._numbers)}"
        counted = (_RESULTS / f"{run_id}.xml").absolute()
        command = [*step.command, f"--junitxml={counted}"] if step.counts else [*step.command]
        if output is None:
            print(f"\n=== {step.name}", flush=True)
        try:
            status = self._run(command, step.directory, self._environment(step, run_id), output)
        finally:
            survivors = end_survivors(f"{RUN_VARIABLE}={run_id}")
            if output is not None:
                self._show(step, output)
        seconds = time.monotonic() - started
        passed, failed = _count(counted) if step.counts else (0, 0)
        if status != 0 and not failed:
            failed += 1
        elif status == 0 and not step.counts:
            passed = 1
        remarks = [f"left running and ended now: {one.pid} {one.command[:200]}" for one in survivors]
        for remark in remarks:
            print(remark, flush=True)
        return Outcome(step, passed, failed + bool(survivors), seconds, "; ".join(remarks))

    def notes(self) -> list[str]:
        """Return what was left out because a part of the machine is missing."""
        if not self._notes.exists():
            return []
        found = sorted(set(self._notes.read_text().splitlines()))
        self._notes.unlink()
        return found

    def _show(self, step: Step, output: IO[bytes]) -> None:
        output.seek(0)
        with self._printing:
            print(f"\n=== {step.name}", flush=True)
            sys.stdout.write(output.read().decode(errors="replace"))
            sys.stdout.flush()

    def _run(
        self, command: list[str], directory: str, environment: dict[str, str], output: IO[bytes] | None
    ) -> int:
        errors = None if output is None else subprocess.STDOUT
        try:
            process = subprocess.Popen(
                command,
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
        except OSError as error:
            print(f"not started: {error}", flush=True)
            return 1
        self._running.add(process)
        try:
            if self._stopped:
                return 1
            return process.wait(STEP_SECONDS)
        except subprocess.TimeoutExpired:
            print(f"ended after {STEP_SECONDS:.0f} s", flush=True)
            return 1
        finally:
            _end(process)
            self._running.discard(process)

    def _environment(self, step: Step, run_id: str) -> dict[str, str]:
        """Daemons and workers are started hundreds of times: byte code is kept, whatever the caller has."""
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return {
            **inherited,
            "LC_ALL": "C.UTF-8",
            "PATH": f"{BIN}:{os.environ.get('PATH', os.defpath)}",
            RUN_VARIABLE: run_id,
            NOTES_VARIABLE: str(self._notes),
            **step.environment,
        }


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def _count(path: Path) -> tuple[int, int]:
    """Return how many tests passed and failed, from pytest's own file; it is removed."""
    if not path.exists():
        return 0, 0
    passed = failed = 0
    for suite in ET.parse(path).iter("testsuite"):  # noqa: S314 -- pytest wrote it a moment ago
        lost = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        failed += lost
        passed += int(suite.get("tests", 0)) - lost - int(suite.get("skipped", 0))
    path.unlink()
    return passed, failed


def _tell(outcomes: list[Outcome], notes: list[str]) -> int:
    """Print a line for each step and the total.  What is missing on a CI machine counts as failed."""
    print()
    for outcome in outcomes:
        verdict = "FAILED" if outcome.failed else "ok"
        tests = f"{outcome.passed} passed, {outcome.failed} failed" if outcome.step.counts else ""
        line = f"{verdict:<7} {outcome.step.name:<26} {outcome.seconds:7.1f} s  {tests} {outcome.remark}"
        print(line.rstrip())
    for note in notes:
        print(f"NOT RUN {note}")
    passed = sum(outcome.passed for outcome in outcomes)
    failed = sum(outcome.failed for outcome in outcomes)
    if notes and os.environ.get("CI"):
        failed += len(notes)
    print(f"total: {passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
