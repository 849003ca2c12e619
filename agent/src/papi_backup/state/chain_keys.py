# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of this agent's own chains, sealed: they save deriving them again before every incremental."""

from __future__ import annotations

from papi_backup.model.secret import Secret
from papi_backup.state.database import Database
from papi_backup.state.sealing import Cell, Sealer


class ChainKeys:
    """The table ``chain_keys``."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
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
        rows = self._database.rows("SELECT chain, key FROM chain_keys ORDER BY chain")
        return tuple((row["chain"], self._sealer.open(row["key"], _cell(row["chain"]))) for row in rows)


def _cell(chain: str) -> Cell:
    return Cell("chain_keys", "key", chain)
