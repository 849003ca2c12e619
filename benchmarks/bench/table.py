# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Medians and ratios."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence

from bench.peers.protocol import STEPS
from bench.rounds import Measurement

Key = tuple[str, str, str, str]
"""Data set, storage, step, tool."""

Quantity = Callable[[Measurement], float]


def medians(measurements: Iterable[Measurement], quantity: Quantity) -> dict[Key, float]:
    """Return the medians over the rounds; values below 0 are none."""
    values: dict[Key, list[float]] = {}
    for one in measurements:
        value = quantity(one)
        if value >= 0:
            values.setdefault((one.data_set, one.storage, one.step, one.peer), []).append(value)
    return {key: statistics.median(found) for key, found in values.items()}


QUANTITIES: dict[str, Quantity] = {
    "wall": lambda one: one.figures.wall,
    "cpu": lambda one: one.figures.cpu,
    "peak": lambda one: one.figures.peak,
    "stored": lambda one: one.stored,
    "transferred": lambda one: one.figures.transferred,
}


def plain_table(measurements: Sequence[Measurement]) -> str:
    """Return medians for a terminal: wall s / CPU s / peak MB, and MB stored."""
    found = {name: medians(measurements, quantity) for name, quantity in QUANTITIES.items()}
    peers = list(dict.fromkeys(one.peer for one in measurements))
    lines = []
    for data_set, storage in dict.fromkeys((one.data_set, one.storage) for one in measurements):
        lines.append(f"\n{data_set} over {storage}: wall s / CPU s / peak MB / stored MB; medians")
        lines.append(f"{'':<12}" + "".join(f"{peer:>34}" for peer in peers))
        for step in STEPS:
            cells = [_cell(found, (data_set, storage, step, peer)) for peer in peers]
            if any(cells):
                lines.append(f"{step:<12}" + "".join(f"{cell:>34}" for cell in cells))
        if "ours" in peers and "restic" in peers:
            lines.append("ours / restic: wall, CPU, peak, stored")
            for step in STEPS:
                ours, theirs = (data_set, storage, step, "ours"), (data_set, storage, step, "restic")
                ratios = [
                    f"{found[name][ours] / found[name][theirs]:.2f}"
                    if found[name].get(theirs) and ours in found[name]
                    else "-"
                    for name in ("wall", "cpu", "peak", "stored")
                ]
                lines.append(f"{step:<12}" + "".join(f"{ratio:>10}" for ratio in ratios))
    return "\n".join(lines)


def _cell(found: dict[str, dict[Key, float]], key: Key) -> str:
    if key not in found["wall"]:
        return ""
    stored = f" / {found['stored'][key] / 1e6:.1f}" if key in found["stored"] else ""
    return f"{found['wall'][key]:.2f} / {found['cpu'][key]:.2f} / {found['peak'][key] / 1e6:.0f}{stored}"
