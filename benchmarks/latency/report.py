# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What came of it, for people and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

OURS, PEER = "ours", "restic"
OF_PEER, OF_LINE = 0.8, 1.1
"""The bound: the greater of so much of the peer's time and of the time that the line needs for our bytes."""


@dataclass(frozen=True, slots=True)
class Run:
    """One step of one tool: seconds of wall and CPU, bytes up and down the line, and how often it was cut."""

    step: str
    peer: str
    round: int
    wall: float
    cpu: float
    up: int
    down: int
    cuts: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Medians of a step.  ``line`` is the time that the line needs for our bytes, ``peer`` 0 without one."""

    step: str
    ours: float
    peer: float
    line: float

    @property
    def bound(self) -> float:
        """The longest that ours may take, in seconds."""
        return max(OF_PEER * self.peer, OF_LINE * self.line)

    @property
    def is_kept(self) -> bool:
        """Whether it took no longer."""
        return self.ours <= self.bound

    def __str__(self) -> str:
        beside = f"{self.peer:7.2f} {self.ours / self.peer:6.2f}" if self.peer else f"{'-':>7} {'-':>6}"
        kept = "kept" if self.is_kept else "MISSED"
        return (
            f"{self.step:<16}{self.ours:7.2f} {beside} {self.line:7.2f} {self.ours / self.line:6.2f}"
            f" {self.bound:7.2f} {kept}"
        )


HEADING = f"{'step':<16}{'ours s':>7} {'restic':>7} {'ratio':>6} {'line s':>7} {'ratio':>6} {'bound':>7}"


def verdicts(runs: Sequence[Run], rate: float) -> list[Verdict]:
    """Return one for each step that ours has made, in their order."""
    found = []
    for step in dict.fromkeys(run.step for run in runs if run.peer == OURS):
        ours = [run for run in runs if (run.step, run.peer) == (step, OURS)]
        peer = [run.wall for run in runs if (run.step, run.peer) == (step, PEER)]
        line = statistics.median(max(run.up, run.down) for run in ours) / rate
        wall = statistics.median(run.wall for run in ours)
        found.append(Verdict(step, wall, statistics.median(peer) if peer else 0.0, line))
    return found
