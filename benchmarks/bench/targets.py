# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bars: what is asked of the medians, and whether it is met."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.table import Key

Medians = Mapping[str, Mapping[Key, float]]
"""By quantity."""

ONE_FILE_BYTES = 16 << 20
_CPU_ALLOWANCE = 0.1

_WALLS: Mapping[tuple[str, str], float] = {
    ("tree", "full"): 0.5,
    ("tree", "unchanged"): 0.5,
    ("tree", "changed"): 0.5,
    ("tree", "restore"): 0.75,
    ("large", "full"): 0.65,
    ("large", "unchanged"): 1.0,
    ("large", "changed"): 1.0,
    ("large", "restore"): 0.85,
    ("tiny", "full"): 0.45,
    ("tiny", "unchanged"): 0.4,
    ("tiny", "changed"): 0.4,
    ("tiny", "restore"): 0.5,
}
_STORED: Mapping[str, float] = {"tree": 0.85, "large": 1.0, "tiny": 0.5}
_PEAKS: Mapping[str, float] = {"full": 1.3, "unchanged": 1.3, "changed": 1.3, "restore": 0.8}
_S3_WALL = 0.85
_PIPE_FULL = 1.3


@dataclass(frozen=True, slots=True)
class Target:
    """``ours`` by ``other`` (a tool) may be at most ``bound``; with no tool, ours alone may."""

    data_set: str
    storage: str
    step: str
    quantity: str
    other: str
    bound: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target and what was measured."""

    target: Target
    measured: float

    @property
    def met(self) -> bool:
        """Whether the bound holds."""
        return self.measured <= self.target.bound


def _all_targets() -> list[Target]:
    found = []
    for (data_set, step), bound in _WALLS.items():
        found.append(Target(data_set, "sftp", step, "wall", "restic", bound))
        found.append(Target(data_set, "sftp", step, "cpu", "restic", round(bound + _CPU_ALLOWANCE, 2)))
        found.append(Target(data_set, "sftp", step, "peak", "restic", _PEAKS[step]))
        found.append(Target(data_set, "s3", step, "wall", "restic", _S3_WALL))
    for data_set, bound in _STORED.items():
        found += [Target(data_set, "sftp", step, "stored", "restic", bound) for step in ("full", "changed")]
        found.append(Target(data_set, "sftp", "full", "wall", "tar pipe", _PIPE_FULL))
    found.append(Target("large", "sftp", "restore one", "transferred", "", ONE_FILE_BYTES))
    return found


TARGETS = tuple(_all_targets())


def judge(medians: Medians) -> list[Verdict]:
    """Return a verdict on each target of which both sides were measured."""
    verdicts = []
    for target in TARGETS:
        values = medians.get(target.quantity, {})
        place = (target.data_set, target.storage, target.step)
        ours = values.get((*place, "ours"))
        other = values.get((*place, target.other)) if target.other else 1.0
        if ours is not None and other:
            verdicts.append(Verdict(target, ours / other))
    return verdicts
