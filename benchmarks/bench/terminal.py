# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report's tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from bench.report import Report
from bench.table import Table, tables


def text_of(report: Report) -> str:
    """Return the tables, then the targets that were missed, what was left out and what failed."""
    parts = [_table(table) for table in tables(report.results.measurements)]
    verdicts = report.verdicts()
    if verdicts:
        parts.append(f"\ntargets: {sum(one.met for one in verdicts)} of {len(verdicts)} met")
    for one in verdicts:
        if not one.met:
            target = one.target
            what = f"{target.data_set}, {target.storage}, {target.step}, {target.quantity}"
            parts.append(f"  missed: {what}: {one.measured:.2f}, at most {target.bound:g}")
    parts += [f"left out: {sentence}" for sentence in report.results.left_out]
    parts += [f"FAILED: {sentence}" for sentence in report.results.failures]
    return "\n".join(parts)


def _table(table: Table) -> str:
    heads = ("", *table.peers, "ours/restic: all four", "ours/best", "ours/limit")
    rows = [(row.step, *row.cells, row.to_restic, row.to_best, row.to_limit) for row in table.rows]
    widths = [max(len(line[column]) for line in (heads, *rows)) for column in range(len(heads))]
    title = f"\n{table.data_set} over {table.storage}: wall s / CPU s / peak MB / stored MB"
    return "\n".join([title, *(_line(line, widths) for line in (heads, *rows))])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = cells[0].ljust(widths[0])
    return "  ".join([first, *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))])
