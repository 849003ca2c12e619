# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Medians over the rounds, and ratios of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.peers.protocol import STEPS
from bench.rounds import Measurement

OURS, RESTIC, LIMIT = "ours", "restic", "tar pipe"

Key = tuple[str, str, str, str]
"""Data set, storage, step, tool."""

QUANTITIES: Mapping[str, Callable[[Measurement], float]] = {
    "wall": lambda one: one.figures.wall,
    "cpu": lambda one: one.figures.cpu,
    "peak": lambda one: one.figures.peak,
    "stored": lambda one: one.stored,
    "transferred": lambda one: one.figures.transferred,
}


def medians(measurements: Iterable[Measurement]) -> dict[str, dict[Key, float]]:
    """Return the medians by quantity; a value below 0 is none."""
    values: dict[str, dict[Key, list[float]]] = {name: {} for name in QUANTITIES}
    for one in measurements:
        key = (one.data_set, one.storage, one.step, one.peer)
        for name, quantity in QUANTITIES.items():
            if (value := quantity(one)) >= 0:
                values[name].setdefault(key, []).append(value)
    return {
        name: {key: statistics.median(found) for key, found in by_key.items()}
        for name, by_key in values.items()
    }


@dataclass(frozen=True, slots=True)
class Row:
    """One step: a cell for each tool, and ratios of ours, of which "" is one that cannot be had."""

    step: str
    cells: tuple[str, ...]
    to_restic: str
    to_best: str
    to_limit: str


@dataclass(frozen=True, slots=True)
class Table:
    """One data set on one storage."""

    data_set: str
    storage: str
    peers: tuple[str, ...]
    rows: tuple[Row, ...]


def tables(measurements: Sequence[Measurement]) -> list[Table]:
    """Return a table for each data set and storage, in the order in which they were measured."""
    found = medians(measurements)
    made = []
    for data_set, storage in dict.fromkeys((one.data_set, one.storage) for one in measurements):
        here = [one for one in measurements if (one.data_set, one.storage) == (data_set, storage)]
        peers = tuple(dict.fromkeys(one.peer for one in sorted(here, key=_order)))
        steps = [step for step in STEPS if any(one.step == step for one in here)]
        rows = tuple(_row(found, (data_set, storage, step), peers) for step in steps)
        made.append(Table(data_set, storage, peers, rows))
    return made


def _order(one: Measurement) -> int:
    known = (OURS, RESTIC, LIMIT)
    return known.index(one.peer) if one.peer in known else len(known)


def _row(found: Mapping[str, Mapping[Key, float]], place: tuple[str, str, str], peers: Sequence[str]) -> Row:
    walls = {peer: found["wall"][*place, peer] for peer in peers if (*place, peer) in found["wall"]}
    others = {peer: wall for peer, wall in walls.items() if peer not in (OURS, LIMIT)}
    best = min(others, key=others.__getitem__, default="")
    to_best = f"{_ratio(found, place, best, ('wall',))} ({best})" if best and OURS in walls else ""
    return Row(
        step=place[2],
        cells=tuple(_cell(found, (*place, peer)) for peer in peers),
        to_restic=_ratio(found, place, RESTIC, ("wall", "cpu", "peak", "stored")),
        to_best=to_best,
        to_limit=_ratio(found, place, LIMIT, ("wall", "cpu", "peak")),
    )


def _cell(found: Mapping[str, Mapping[Key, float]], key: Key) -> str:
    """Wall s / CPU s / peak MB, and MB stored where something was."""
    if key not in found["wall"]:
        return ""
    parts = [f"{found['wall'][key]:.2f}", f"{found['cpu'][key]:.2f}", f"{found['peak'][key] / 1e6:.0f}"]
    if key in found["stored"]:
        parts.append(f"{found['stored'][key] / 1e6:.1f}")
    return " / ".join(parts)


def _ratio(
    found: Mapping[str, Mapping[Key, float]], place: tuple[str, str, str], other: str, names: Sequence[str]
) -> str:
    parts = []
    for name in names:
        ours, theirs = found[name].get((*place, OURS)), found[name].get((*place, other))
        if ours is not None and theirs:
            parts.append(f"{ours / theirs:.2f}")
    return " / ".join(parts)
