# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables at the end, from what the playbook reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from demonstration.comparing import Verdict

Record = Mapping[str, Any]


def backup_table(backups: Sequence[Record]) -> str:
    """One row for each backup that was run."""
    rows = [
        (
            one["backup_name"],
            one["job"].get("backup_type", ""),
            one["listed"]["date"],
            _count(one["job"].get("files")),
            _count(one["job"].get("bytes_read")),
            _count(one["job"].get("bytes_stored")),
            _seconds(one["job"]),
        )
        for one in sorted(backups, key=lambda one: (one["backup_name"], one["snapshot"]))
    ]
    return _table(("backup", "type", "date", "files", "bytes read", "bytes stored", "seconds"), rows, 3)


def restore_table(restores: Sequence[Record], verdicts: Sequence[Verdict]) -> str:
    """One row for each restore, with the comparer's verdict."""
    rows = [
        (
            one["backup_name"],
            one["agent"],
            one["date"],
            str(one["snapshot"]),
            _count(verdict.entries),
            _seconds(one["job"]),
            verdict.text,
        )
        for one, verdict in zip(restores, verdicts, strict=True)
    ]
    headings = (
        "restored",
        "by agent",
        "date",
        "snapshot",
        "entries",
        "seconds",
        "compared with the snapshot",
    )
    return _table(headings, rows, 3, 1)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], texts: int, last_texts: int = 0) -> str:
    """Align columns: the first ``texts`` and last ``last_texts`` to the left, the numbers to the right."""
    widths = [max(len(row[column]) for row in (headings, *rows)) for column in range(len(headings))]
    left = {*range(texts), *range(len(headings) - last_texts, len(headings))}

    def line(cells: Sequence[str]) -> str:
        aligned = (
            f"{cell:<{width}}" if column in left else f"{cell:>{width}}"
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join(aligned).rstrip()

    return "\n".join([line(headings), line(["-" * width for width in widths]), *map(line, rows)])


def _count(value: object) -> str:
    return f"{int(str(value)):,}" if str(value).isdigit() else "?"


def _seconds(job: Record) -> str:
    """Return how long a job took, by its dates; they are in whole seconds."""
    try:
        started, ended = (datetime.fromisoformat(str(job[key])) for key in ("start_date", "end_date"))
    except (KeyError, ValueError):
        return "?"
    return f"{(ended - started).total_seconds():.0f}"
