# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storages of both types in one table, so that ids and names are one series; the S3 secret is sealed."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from papi_backup.model.errors import InvalidParameterError, NoSuchEntityError
from papi_backup.model.storage import S3Storage, SshStorage, StorageConfig
from papi_backup.state.database import Database, ForeignKeyViolationError, UniqueViolationError, Value
from papi_backup.state.sealing import Cell, Sealer

_TYPED_COLUMNS = (
    "server_name",
    "ssh_port",
    "ssh_username",
    "ssh_id_id",
    "storage_base",
    "host_key",
    "aws_key_id",
    "aws_secret_key",
    "bucket_name",
    "file_size",
    "endpoint_url",
    "region",
    "prefix",
)
_INSERT = (
    "INSERT INTO storages (storage_id, storage_name, type, server_name, ssh_port, ssh_username, ssh_id_id,"
    " storage_base, host_key, aws_key_id, aws_secret_key, bucket_name, file_size, endpoint_url, region,"
    " prefix)"
    " VALUES (:storage_id, :storage_name, :type, :server_name, :ssh_port, :ssh_username, :ssh_id_id,"
    " :storage_base, :host_key, :aws_key_id, :aws_secret_key, :bucket_name, :file_size, :endpoint_url,"
    " :region, :prefix)"
)
_UPDATE = (
    "UPDATE storages SET storage_name = :storage_name, server_name = :server_name, ssh_port = :ssh_port,"
    " ssh_username = :ssh_username, ssh_id_id = :ssh_id_id, storage_base = :storage_base,"
    " host_key = :host_key, aws_key_id = :aws_key_id, aws_secret_key = :aws_secret_key,"
    " bucket_name = :bucket_name, file_size = :file_size, endpoint_url = :endpoint_url, region = :region,"
    " prefix = :prefix WHERE storage_id = :storage_id"
)


class Storages:
    """The table ``storages``."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    def list(self) -> list[StorageConfig]:
        """Return all storages in creation order."""
        rows = self._database.rows("SELECT * FROM storages ORDER BY storage_id")
        return [self._from_row(row) for row in rows]

    def get(self, storage_id: int) -> StorageConfig:
        """Return one; raises :class:`NoSuchEntityError`."""
        row = self._database.row("SELECT * FROM storages WHERE storage_id = ?", (storage_id,))
        if row is None:
            raise NoSuchEntityError(f"there is no storage {storage_id}")
        return self._from_row(row)

    def by_name(self, storage_name: str) -> StorageConfig:
        """Return one; raises :class:`NoSuchEntityError`."""
        row = self._database.row("SELECT * FROM storages WHERE storage_name = ?", (storage_name,))
        if row is None:
            raise NoSuchEntityError(f"there is no storage named {storage_name!r}")
        return self._from_row(row)

    def add(self, storage: StorageConfig) -> StorageConfig:
        """Store a new one and return it with its id.

        A taken name is :class:`InvalidParameterError`, an unknown ``ssh_id_id`` :class:`NoSuchEntityError`.
        """
        with self._database.transaction():
            added = replace(storage, storage_id=self._database.next_id("storages"))
            self._write(added, _INSERT)
        return added

    def update(self, storage: StorageConfig) -> StorageConfig:
        """Replace the row whole; raises as :meth:`get` and :meth:`add` do, and refuses to change the type."""
        with self._database.transaction():
            if self._type_of(storage.storage_id) != storage.type:
                raise InvalidParameterError(f"storage {storage.storage_id} is of another type", "storage_id")
            self._write(storage, _UPDATE)
        return storage

    def delete(self, storage_id: int) -> None:
        """Remove one; raises :class:`NoSuchEntityError`, and :class:`InvalidParameterError` if it is used."""
        try:
            removed = self._database.execute("DELETE FROM storages WHERE storage_id = ?", (storage_id,))
        except ForeignKeyViolationError as error:
            raise InvalidParameterError(
                f"storage {storage_id} is in use by a backup configuration", "storage_id"
            ) from error
        if not removed:
            raise NoSuchEntityError(f"there is no storage {storage_id}")

    def _type_of(self, storage_id: int) -> str:
        row = self._database.row("SELECT type FROM storages WHERE storage_id = ?", (storage_id,))
        if row is None:
            raise NoSuchEntityError(f"there is no storage {storage_id}")
        return str(row["type"])

    def _write(self, storage: StorageConfig, sql: str) -> None:
        values = dict.fromkeys(_TYPED_COLUMNS) | self._values(storage)
        try:
            self._database.execute(sql, values)
        except UniqueViolationError as error:
            raise InvalidParameterError(
                f"a storage named {storage.storage_name!r} exists already", "storage_name"
            ) from error
        except ForeignKeyViolationError as error:
            raise NoSuchEntityError(f"there is no SSH id {values['ssh_id_id']}") from error

    def _values(self, storage: StorageConfig) -> dict[str, Value]:
        common: dict[str, Value] = {
            "storage_id": storage.storage_id,
            "storage_name": storage.storage_name,
            "type": storage.type,
        }
        if isinstance(storage, SshStorage):
            return common | {
                "server_name": storage.server_name,
                "ssh_port": storage.ssh_port,
                "ssh_username": storage.ssh_username,
                "ssh_id_id": storage.ssh_id_id,
                "storage_base": storage.storage_base,
                "host_key": storage.host_key,
            }
        return common | {
            "aws_key_id": storage.aws_key_id,
            "aws_secret_key": self._sealer.seal(storage.aws_secret_key, _cell(storage.storage_id)),
            "bucket_name": storage.bucket_name,
            "file_size": storage.file_size,
            "endpoint_url": storage.endpoint_url,
            "region": storage.region,
            "prefix": storage.prefix,
        }

    def _from_row(self, row: sqlite3.Row) -> StorageConfig:
        if row["type"] == "ssh":
            return SshStorage(
                storage_name=row["storage_name"],
                server_name=row["server_name"],
                ssh_port=row["ssh_port"],
                ssh_username=row["ssh_username"],
                ssh_id_id=row["ssh_id_id"],
                storage_base=row["storage_base"],
                host_key=row["host_key"],
                storage_id=row["storage_id"],
            )
        return S3Storage(
            storage_name=row["storage_name"],
            aws_key_id=row["aws_key_id"],
            aws_secret_key=self._sealer.open(row["aws_secret_key"], _cell(row["storage_id"])),
            bucket_name=row["bucket_name"],
            file_size=row["file_size"],
            endpoint_url=row["endpoint_url"],
            region=row["region"],
            prefix=row["prefix"],
            storage_id=row["storage_id"],
        )


def _cell(storage_id: int) -> Cell:
    return Cell("storages", "aws_secret_key", str(storage_id))
