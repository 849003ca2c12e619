# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs steps, one after the other or side by side, and finds what each leaves running."""

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
from checks.steps import BIN, Step
from checks.survivors import end_survivors

RUN_VARIABLE = "PAPI_TEST_RUN"
STEP_SECONDS = 2400.0
RESULTS = Path(".cache/results")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one step went; a linter counts as one."""

    step: Step
    passed: int
    failed: int
    seconds: float
    remark: str = ""


def begin() -> Run:
    """Return a new run, whose processes end with this one when SIGTERM comes."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, _stop)
    return Run(secrets.token_hex(8))


def _stop(*details: object) -> None:
    del details
    sys.exit(143)


class Run:
    """The environment that all processes of one run inherit, and what they leave in it."""

    def __init__(self, run_id: str) -> None:
        self._id = run_id
        self._notes = (RESULTS / f"missing-{run_id}").absolute()
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
                self.stop()
                raise

    def stop(self) -> None:
        """End the steps that run, and begin no other."""
        self._stopped = True
        for process in list(self._running):
            _end(process)

    def _lane(self, steps: Sequence[Step]) -> list[Outcome]:
        outcomes = []
        for step in steps:
            if self._stopped:
                break
            with tempfile.TemporaryFile() as output:
                try:
                    outcomes.append(self.do(step, output))
                finally:
                    self.show(step, output)
        return outcomes

    def do(self, step: Step, output: IO[bytes] | None = None) -> Outcome:
        """Run one step and look for what it left running; with ``output`` nothing is shown meanwhile."""
        started = time.monotonic()
        run_id = f"{self._id}-{next(self._numbers)}"
        counted = (RESULTS / f"{run_id}.xml").absolute()
        command = [*step.command, f"--junitxml={counted}"] if step.counts else [*step.command]
        if output is None:
            print(f"\n=== {step.name}", flush=True)
        try:
            status = self._run(command, step.directory, self._environment(step, run_id), output)
        finally:
            survivors = end_survivors(f"{RUN_VARIABLE}={run_id}")
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

    def show(self, step: Step, output: IO[bytes]) -> None:
        """Print what a step wrote, as a whole."""
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
