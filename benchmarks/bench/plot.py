# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of the wall times, as SVG: a bar for each tool and step, with its spread over the rounds."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from bench.rounds import Measurement
from bench.table import Table, medians, tables

_COLOURS = ("#1b6ca8", "#d9822b", "#9aa5b1", "#6b8e23", "#8b5a9f")
_WIDTH, _LEFT, _BAR, _GAP, _TITLE = 900, 110, 13, 10, 54
_STYLE = "text{font:12px sans-serif;fill:#222}.t{font-weight:bold}.g{fill:#555}"


def plot(measurements: Sequence[Measurement]) -> str:
    """Return the picture.  Each table has a scale of its own, in seconds."""
    parts: list[str] = []
    top = 10
    for table in tables(measurements):
        drawn, height = _panel(table, measurements, top)
        parts += drawn
        top += height
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{top}">'
    ground = f'<rect width="{_WIDTH}" height="{top}" fill="#fff"/>'
    return "\n".join([head, f"<style>{_STYLE}</style>", ground, *parts, "</svg>"]) + "\n"


def _panel(table: Table, measurements: Sequence[Measurement], top: int) -> tuple[list[str], int]:
    walls = medians(measurements)["wall"]
    place = (table.data_set, table.storage)
    here = {key: value for key, value in walls.items() if key[:2] == place}
    longest = max(one.figures.wall for one in measurements if (one.data_set, one.storage) == place)
    scale = (_WIDTH - _LEFT - 90) / longest
    title = f"{table.data_set} over {table.storage}: seconds, medians; the line spans the rounds"
    parts = [f'<text class="t" x="10" y="{top + 16}">{escape(title)}</text>', *_legend(table, top + 38)]
    down = top + _TITLE
    for row in table.rows:
        parts.append(f'<text x="10" y="{down + 11}">{escape(row.step)}</text>')
        for number, peer in enumerate(table.peers):
            key = (table.data_set, table.storage, row.step, peer)
            if key in here:
                values = [
                    one.figures.wall
                    for one in measurements
                    if (one.data_set, one.storage, one.step, one.peer) == key
                ]
                parts += _bar(here[key], values, scale, down, _COLOURS[number % len(_COLOURS)])
                down += _BAR
        down += _GAP
    return parts, down + _GAP - top


def _bar(value: float, values: Sequence[float], scale: float, down: int, colour: str) -> list[str]:
    longest = max(values)
    first, last, middle = _LEFT + min(values) * scale, _LEFT + longest * scale, down + _BAR / 2 - 1
    return [
        f'<rect x="{_LEFT}" y="{down}" width="{value * scale:.1f}" height="{_BAR - 2}" fill="{colour}"/>',
        f'<path d="M{first:.1f} {middle:.1f}H{last:.1f}" stroke="#222"/>',
        f'<text class="g" x="{last + 5:.1f}" y="{down + 10}">{value:.2f}</text>',
    ]


def _legend(table: Table, down: int) -> list[str]:
    parts = []
    for place, peer in enumerate(table.peers):
        colour = _COLOURS[place % len(_COLOURS)]
        left = _LEFT + 100 * place
        parts.append(f'<rect x="{left}" y="{down - 10}" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{left + 14}" y="{down}">{escape(peer)}</text>')
    return parts
