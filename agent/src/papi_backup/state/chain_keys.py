# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of this agent's own chains, sealed: they save deriving them again before every incremental."""

from __future__ import annotations

import sqlite3

from papi_backup.model.secret import Secret
from papi_backup.state.database import Database
from papi_backup.state.sealing import Cell, Sealer
from papi_backup.state.spoilt_rows import SpoiltRows, bytes_of, text_of


class ChainKeys:
    """The table ``chain_keys``.  A key that is not there is derived again."""

    def __init__(self, database: Database, sealer: Sealer, spoilt: SpoiltRows) -> None:
        self._database = database
        self._spoilt = spoilt
        self._sealer = sealer

    def put(self, chain: str, key: Secret) -> None:
        """Remember the key of ``chain``."""
        self._database.execute(
            "INSERT INTO chain_keys (chain, key) VALUES (?, ?)"
            " ON CONFLICT (chain) DO UPDATE SET key = excluded.key",
            (chain, self._sealer.seal(key, _cell(chain))),
        )

    def all(self) -> tuple[tuple[str, Secret], ...]:
        """Return every (chain, key), sorted by chain."""
        rows = self._database.rows("SELECT rowid AS row_number, * FROM chain_keys ORDER BY chain")
        return tuple(self._spoilt.read("chain_keys", rows, self._opened))

    def _opened(self, row: sqlite3.Row) -> tuple[str, Secret]:
        chain = text_of(row, "chain")
        return chain, self._sealer.open(bytes_of(row, "key"), _cell(chain))


def _cell(chain: str) -> Cell:
    return Cell("chain_keys", "key", chain)
