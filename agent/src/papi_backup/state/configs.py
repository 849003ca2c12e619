# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backup configurations; the encryption key is sealed, schedules and lists are JSON."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, replace

from papi_backup.model.errors import InvalidParameterError, NoSuchEntityError
from papi_backup.model.schedule import BackupConfig, Schedule
from papi_backup.state.database import Database, ForeignKeyViolationError, UniqueViolationError, Value
from papi_backup.state.sealing import Cell, Sealer

_INSERT = (
    "INSERT INTO configs"
    " (backup_id, backup_name, storage_id, encryption_key, full_schedule, inc_schedule, paths, excludes)"
    " VALUES (:backup_id, :backup_name, :storage_id, :encryption_key, :full_schedule, :inc_schedule, :paths,"
    " :excludes)"
)
_UPDATE = (
    "UPDATE configs SET backup_name = :backup_name, storage_id = :storage_id,"
    " encryption_key = :encryption_key, full_schedule = :full_schedule,"
    " inc_schedule = :inc_schedule, paths = :paths, excludes = :excludes"
    " WHERE backup_id = :backup_id"
)


class Configs:
    """The table ``configs``."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    def list(self) -> list[BackupConfig]:
        """Return all configurations in creation order."""
        return [
            self._from_row(row) for row in self._database.rows("SELECT * FROM configs ORDER BY backup_id")
        ]

    def get(self, backup_id: int) -> BackupConfig:
        """Return one; raises :class:`NoSuchEntityError`."""
        row = self._database.row("SELECT * FROM configs WHERE backup_id = ?", (backup_id,))
        if row is None:
            raise NoSuchEntityError(f"there is no backup configuration {backup_id}")
        return self._from_row(row)

    def by_name(self, backup_name: str) -> BackupConfig:
        """Return one; raises :class:`NoSuchEntityError`."""
        row = self._database.row("SELECT * FROM configs WHERE backup_name = ?", (backup_name,))
        if row is None:
            raise NoSuchEntityError(f"there is no backup configuration named {backup_name!r}")
        return self._from_row(row)

    def add(self, config: BackupConfig) -> BackupConfig:
        """Store a new one and return it with its id.

        A taken name is :class:`InvalidParameterError`, an unknown ``storage_id`` :class:`NoSuchEntityError`.
        """
        with self._database.transaction():
            added = replace(config, backup_id=self._database.next_id("configs"))
            self._write(added, _INSERT)
        return added

    def update(self, config: BackupConfig) -> BackupConfig:
        """Replace the row whole; raises as :meth:`get` and :meth:`add` do."""
        if not self._write(config, _UPDATE):
            raise NoSuchEntityError(f"there is no backup configuration {config.backup_id}")
        return config

    def delete(self, backup_id: int) -> None:
        """Remove one, its schedule state with it; raises :class:`NoSuchEntityError`.  Its jobs stay."""
        if not self._database.execute("DELETE FROM configs WHERE backup_id = ?", (backup_id,)):
            raise NoSuchEntityError(f"there is no backup configuration {backup_id}")

    def _write(self, config: BackupConfig, sql: str) -> int:
        values: dict[str, Value] = {
            "backup_id": config.backup_id,
            "backup_name": config.backup_name,
            "storage_id": config.storage_id,
            "encryption_key": self._sealer.seal(config.encryption_key, _cell(config.backup_id)),
            "full_schedule": json.dumps(asdict(config.full)),
            "inc_schedule": json.dumps(asdict(config.inc)),
            # ASCII-only JSON carries the surrogate escapes of undecodable path bytes; TEXT refuses them.
            "paths": json.dumps(config.paths),
            "excludes": json.dumps(config.excludes),
        }
        try:
            return self._database.execute(sql, values)
        except UniqueViolationError as error:
            raise InvalidParameterError(
                f"a backup configuration named {config.backup_name!r} exists already", "backup_name"
            ) from error
        except ForeignKeyViolationError as error:
            raise NoSuchEntityError(f"there is no storage {config.storage_id}") from error

    def _from_row(self, row: sqlite3.Row) -> BackupConfig:
        return BackupConfig(
            backup_name=row["backup_name"],
            storage_id=row["storage_id"],
            encryption_key=self._sealer.open(row["encryption_key"], _cell(row["backup_id"])),
            full=_schedule(row["full_schedule"]),
            inc=_schedule(row["inc_schedule"]),
            paths=_texts(row["paths"]),
            excludes=_texts(row["excludes"]),
            backup_id=row["backup_id"],
        )


def _cell(backup_id: int) -> Cell:
    return Cell("configs", "encryption_key", str(backup_id))


def _schedule(text: str) -> Schedule:
    fields = json.loads(text)
    return Schedule(
        period=fields["period"],
        frequency=fields["frequency"],
        time_list=tuple(fields["time_list"]),
        day_run=tuple(fields["day_run"]),
        time_run=tuple(fields["time_run"]),
    )


def _texts(text: str) -> tuple[str, ...]:
    texts: Sequence[str] = json.loads(text)
    return tuple(texts)
