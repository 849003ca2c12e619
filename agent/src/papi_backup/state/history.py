# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of the job history stays: by count, and by an age that a wrong clock cannot make up."""

from __future__ import annotations

from datetime import datetime, timedelta

from papi_backup.state.database import Database
from papi_backup.state.instants import from_text, to_text

_DAY = timedelta(days=1)

_KEPT = (
    "SELECT max(job_id) FROM jobs WHERE job_type = 'backup'"
    " AND backup_name IN (SELECT backup_name FROM configs) GROUP BY backup_name, backup_type"
    " UNION ALL "
    "SELECT max(job_id) FROM jobs WHERE job_type = 'backup' AND job_status = 'success'"
    " AND backup_name IN (SELECT backup_name FROM configs) GROUP BY backup_name, backup_type"
)
"""The last job and the last success of each configuration and type: its last runs, and how much to expect."""


def prune(database: Database, now: datetime, keep_count: int, keep_days: int) -> int:
    """Remove what ended too long ago or too many jobs ago; see ``Jobs.prune``.  Returns how many went."""
    removed = 0
    with database.transaction():
        if keep_days:
            removed += database.execute(
                f"DELETE FROM jobs WHERE end_date < ? AND job_id NOT IN ({_KEPT})",  # noqa: S608 (constants)
                (_oldest_kept(database, now, timedelta(days=keep_days)),),
            )
        if keep_count:
            removed += database.execute(
                "DELETE FROM jobs WHERE end_date IS NOT NULL"  # noqa: S608 (constants)
                f" AND job_id NOT IN ({_KEPT}) AND job_id NOT IN"
                " (SELECT job_id FROM jobs WHERE end_date IS NOT NULL"
                " ORDER BY end_date DESC, job_id DESC LIMIT ?)",
                (keep_count,),
            )
    return removed


def _oldest_kept(database: Database, now: datetime, keep: timedelta) -> str:
    """Return the instant before which a job has ended too long ago.

    A clock that runs years ahead must not cost the history.  So time counts that jobs bear witness to: up
    to a day after the newest end, and of a silence longer than ``keep`` (such a clock, or a host that was
    off) one day.
    """
    newest = _ends(database, "max", "")
    oldest = (min(now, newest + _DAY) if newest else now) - keep
    while True:
        before = _ends(database, "max", "WHERE end_date < ?", oldest)
        after = _ends(database, "min", "WHERE end_date >= ?", oldest)
        if before is None or after is None or after - before <= keep + _DAY:
            return to_text(oldest)
        oldest -= after - before - _DAY
        if oldest > before:
            return to_text(oldest)


def _ends(database: Database, which: str, where: str, *bound: datetime) -> datetime | None:
    """Return the "min" or "max" of the jobs' ends."""
    values = tuple(map(to_text, bound))
    row = database.row(f"SELECT {which}(end_date) FROM jobs {where}", values)  # noqa: S608 (constants)
    return from_text(row[0]) if row and row[0] else None
