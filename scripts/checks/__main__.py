# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the steps of a target: ``python -m checks all|quick|lint|torture``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from checks.running import Outcome, begin
from checks.steps import TARGETS, steps_of


def main(arguments: Sequence[str]) -> int:
    """Run every step, also after a failed one; return 0 if all passed, 1 if not, 2 for wrong usage."""
    if len(arguments) != 1 or arguments[0] not in TARGETS:
        sys.stderr.write(f"usage: scripts/test {'|'.join(TARGETS)}\n")
        return 2
    run = begin()
    steps = steps_of(arguments[0])
    outcomes = [run.do(step) for step in steps if not step.lane]
    lanes = dict.fromkeys(step.lane for step in steps if step.lane)
    outcomes += run.side_by_side([[step for step in steps if step.lane == lane] for lane in lanes])
    return _tell(outcomes, run.notes())


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
