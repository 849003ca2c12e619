# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backup jobs whose outcome is not known yet: which backup each may have written, and where.

A row is there before the job's worker starts, and goes with the job's outcome.  What a crash leaves here is
looked up on the storage.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from papi_backup.state.database import Database
from papi_backup.state.spoilt_rows import SpoiltRows, number_of, text_of


@dataclass(frozen=True, slots=True)
class Unsettled:
    """The id of the backup that a job may have written; ``location`` is the storage's as it was then."""

    job_id: int
    backup: str
    storage_id: int
    location: str


class UnsettledJobs:
    """The table ``unsettled_jobs``; rows go with their job."""

    def __init__(self, database: Database, spoilt: SpoiltRows) -> None:
        self._database = database
        self._spoilt = spoilt

    def put(self, unsettled: Unsettled) -> None:
        """Remember what a job is about to write."""
        self._database.execute(
            "INSERT OR REPLACE INTO unsettled_jobs (job_id, backup, storage_id, location)"
            " VALUES (?, ?, ?, ?)",
            (unsettled.job_id, unsettled.backup, unsettled.storage_id, unsettled.location),
        )

    def forget(self, job_id: int) -> None:
        """The job's outcome is known; a job that is not there is no error."""
        self._database.execute("DELETE FROM unsettled_jobs WHERE job_id = ?", (job_id,))

    def all(self) -> list[Unsettled]:
        """Return all, the oldest job first."""
        rows = self._database.rows("SELECT rowid AS row_number, * FROM unsettled_jobs ORDER BY job_id")
        return self._spoilt.read("unsettled_jobs", rows, _from_row)


def _from_row(row: sqlite3.Row) -> Unsettled:
    return Unsettled(
        job_id=number_of(row, "job_id"),
        backup=text_of(row, "backup"),
        storage_id=number_of(row, "storage_id"),
        location=text_of(row, "location"),
    )
