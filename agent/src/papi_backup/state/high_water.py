# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this agent last wrote to each place, sealed: how it notices a storage put back to an older state."""

from __future__ import annotations

import sqlite3

from papi_backup.model.secret import Secret
from papi_backup.state.database import Database
from papi_backup.state.sealing import Cell, Sealer
from papi_backup.state.spoilt_rows import SpoiltRows, bytes_of


class HighWater:
    """The table ``high_water``.  Values are the engine's; the state only keeps them."""

    def __init__(self, database: Database, sealer: Sealer, spoilt: SpoiltRows) -> None:
        self._database = database
        self._spoilt = spoilt
        self._sealer = sealer

    def get(self, location: str, backup_name: str) -> str:
        """Return the mark of a backup at a storage's location; "" when there is none that can be read."""

        def opened(row: sqlite3.Row) -> str:
            return self._sealer.open(bytes_of(row, "value"), _cell(location, backup_name)).reveal()

        row = self._database.row(
            "SELECT rowid AS row_number, * FROM high_water WHERE location = ? AND backup_name = ?",
            (location, backup_name),
        )
        return self._spoilt.read_one("high_water", row, opened) or ""

    def put(self, location: str, backup_name: str, value: str) -> None:
        """Set the mark."""
        self._database.execute(
            "INSERT INTO high_water (location, backup_name, value) VALUES (?, ?, ?)"
            " ON CONFLICT (location, backup_name) DO UPDATE SET value = excluded.value",
            (location, backup_name, self._sealer.seal(Secret(value), _cell(location, backup_name))),
        )


def _cell(location: str, backup_name: str) -> Cell:
    return Cell("high_water", "value", f"{len(location)}:{location}:{backup_name}")
