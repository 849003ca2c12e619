# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SSH ids; the private key is sealed."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from papi_backup.model.errors import InvalidParameterError, NoSuchEntityError
from papi_backup.model.storage import SshId
from papi_backup.state.database import Database, ForeignKeyViolationError, UniqueViolationError, Value
from papi_backup.state.sealing import Cell, Sealer


class SshIds:
    """The table ``ssh_ids``."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    def list(self) -> list[SshId]:
        """Return all SSH ids in creation order."""
        return [
            self._from_row(row) for row in self._database.rows("SELECT * FROM ssh_ids ORDER BY ssh_id_id")
        ]

    def get(self, ssh_id_id: int) -> SshId:
        """Return one; raises :class:`NoSuchEntityError`."""
        row = self._database.row("SELECT * FROM ssh_ids WHERE ssh_id_id = ?", (ssh_id_id,))
        if row is None:
            raise NoSuchEntityError(f"there is no SSH id {ssh_id_id}")
        return self._from_row(row)

    def by_name(self, key_name: str) -> SshId:
        """Return one; raises :class:`NoSuchEntityError`."""
        row = self._database.row("SELECT * FROM ssh_ids WHERE key_name = ?", (key_name,))
        if row is None:
            raise NoSuchEntityError(f"there is no SSH id named {key_name!r}")
        return self._from_row(row)

    def add(self, ssh_id: SshId) -> SshId:
        """Store a new one and return it with its id; a taken name is :class:`InvalidParameterError`."""
        with self._database.transaction():
            added = replace(ssh_id, ssh_id_id=self._database.next_id("ssh_ids"))
            self._write(
                added,
                "INSERT INTO ssh_ids (ssh_id_id, key_name, key_length, public_key, private_key)"
                " VALUES (:ssh_id_id, :key_name, :key_length, :public_key, :private_key)",
            )
        return added

    def update(self, ssh_id: SshId) -> SshId:
        """Replace the row whole; raises as :meth:`get` and :meth:`add` do."""
        changed = self._write(
            ssh_id,
            "UPDATE ssh_ids SET key_name = :key_name, key_length = :key_length, public_key = :public_key,"
            " private_key = :private_key WHERE ssh_id_id = :ssh_id_id",
        )
        if not changed:
            raise NoSuchEntityError(f"there is no SSH id {ssh_id.ssh_id_id}")
        return ssh_id

    def delete(self, ssh_id_id: int) -> None:
        """Remove one; raises :class:`NoSuchEntityError`, and :class:`InvalidParameterError` if it is used."""
        try:
            removed = self._database.execute("DELETE FROM ssh_ids WHERE ssh_id_id = ?", (ssh_id_id,))
        except ForeignKeyViolationError as error:
            raise InvalidParameterError(f"SSH id {ssh_id_id} is in use by a storage", "ssh_id_id") from error
        if not removed:
            raise NoSuchEntityError(f"there is no SSH id {ssh_id_id}")

    def _write(self, ssh_id: SshId, sql: str) -> int:
        values: dict[str, Value] = {
            "ssh_id_id": ssh_id.ssh_id_id,
            "key_name": ssh_id.key_name,
            "key_length": ssh_id.key_length,
            "public_key": ssh_id.public_key,
            "private_key": self._sealer.seal(ssh_id.private_key, _cell(ssh_id.ssh_id_id)),
        }
        try:
            return self._database.execute(sql, values)
        except UniqueViolationError as error:
            raise InvalidParameterError(
                f"an SSH id named {ssh_id.key_name!r} exists already", "key_name"
            ) from error

    def _from_row(self, row: sqlite3.Row) -> SshId:
        return SshId(
            ssh_id_id=row["ssh_id_id"],
            key_name=row["key_name"],
            key_length=row["key_length"],
            public_key=row["public_key"],
            private_key=self._sealer.open(row["private_key"], _cell(row["ssh_id_id"])),
        )


def _cell(ssh_id_id: int) -> Cell:
    return Cell("ssh_ids", "private_key", str(ssh_id_id))
