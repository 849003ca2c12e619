# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When each schedule last ran, so that a run missed while the host was off is caught up once."""

from __future__ import annotations

from datetime import datetime

from papi_backup.model.errors import NoSuchEntityError
from papi_backup.model.schedule import BackupType
from papi_backup.state.database import Database, ForeignKeyViolationError
from papi_backup.state.instants import from_text, to_text
from papi_backup.state.spoilt_rows import SpoiltRows


class ScheduleState:
    """The table ``schedule_state``; rows go with their configuration."""

    def __init__(self, database: Database, spoilt: SpoiltRows) -> None:
        self._database = database
        self._spoilt = spoilt

    def last_run(self, backup_id: int, backup_type: BackupType) -> datetime | None:
        """Return the due time that was last served (aware, UTC), or None."""
        row = self._database.row(
            "SELECT rowid AS row_number, * FROM schedule_state WHERE backup_id = ? AND backup_type = ?",
            (backup_id, backup_type),
        )
        return self._spoilt.read_one("schedule_state", row, lambda row: from_text(row["last_run"]))

    def set_last_run(self, backup_id: int, backup_type: BackupType, instant: datetime) -> None:
        """Remember ``instant`` (aware); raises :class:`NoSuchEntityError` for an unknown configuration."""
        try:
            self._database.execute(
                "INSERT INTO schedule_state (backup_id, backup_type, last_run) VALUES (?, ?, ?)"
                " ON CONFLICT (backup_id, backup_type) DO UPDATE SET last_run = excluded.last_run",
                (backup_id, backup_type, to_text(instant)),
            )
        except ForeignKeyViolationError as error:
            raise NoSuchEntityError(f"there is no backup configuration {backup_id}") from error
