# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storages: list, add, edit, delete, test (docs/api.md)."""

from __future__ import annotations

import builtins
from dataclasses import dataclass, replace

from papi_backup.jobs.host_keys import pin_host_key
from papi_backup.model.check import StorageCheck
from papi_backup.model.errors import InvalidParameterError
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage, SshStorage, StorageConfig
from papi_backup.services.change import Change
from papi_backup.services.lookups import access_by_name, joined, refuse_taken
from papi_backup.services.ports import StorageQueries
from papi_backup.state.store import Store


@dataclass(frozen=True, slots=True)
class StorageEntry:
    """A storage with the name of its SSH id ("" for S3)."""

    storage: StorageConfig
    ssh_id_name: str = ""


@dataclass(frozen=True, slots=True)
class SshStorageFields:
    """What add and edit say of an SSH storage.  ``host_key`` None: as it is, none for another server."""

    storage_name: str
    server_name: str
    ssh_port: int
    ssh_username: str
    ssh_id_id: int
    storage_base: str
    host_key: str | None = None


@dataclass(frozen=True, slots=True)
class S3StorageFields:
    """What add and edit say of an S3 storage.  None: as it is; ``file_size`` in mebibytes."""

    storage_name: str
    aws_key_id: str
    bucket_name: str
    file_size: int
    aws_secret_key: Secret | None = None
    endpoint_url: str | None = None
    region: str | None = None
    prefix: str | None = None


class StorageService:
    """The verbs on storages.  Unknown ids and names raise :class:`NoSuchEntityError` everywhere."""

    def __init__(self, store: Store, queries: StorageQueries) -> None:
        self._store = store
        self._queries = queries

    def list(self) -> builtins.list[StorageEntry]:
        """Return all storages in creation order."""
        with self._store.undisturbed():
            return [self._entry(storage) for storage in self._store.storages.list()]

    def add_ssh(self, fields: SshStorageFields, *, apply: bool) -> Change[StorageEntry]:
        """Add an SSH storage; a taken name is :class:`InvalidParameterError`."""
        return self._add(_ssh_storage(fields, None), apply)

    def add_s3(self, fields: S3StorageFields, *, apply: bool) -> Change[StorageEntry]:
        """Add an S3 storage; a taken name is :class:`InvalidParameterError`."""
        return self._add(_s3_storage(fields, None), apply)

    def edit_ssh(self, storage_id: int, fields: SshStorageFields, *, apply: bool) -> Change[StorageEntry]:
        """Replace what the fields say; a taken name or an S3 storage is :class:`InvalidParameterError`."""
        with self._store.transaction():
            before = self._store.storages.get(storage_id)
            if not isinstance(before, SshStorage):
                raise _other_type(before)
            return self._edit(before, _ssh_storage(fields, before), apply)

    def edit_s3(self, storage_id: int, fields: S3StorageFields, *, apply: bool) -> Change[StorageEntry]:
        """Replace what the fields say; a taken name or an SSH storage is :class:`InvalidParameterError`."""
        with self._store.transaction():
            before = self._store.storages.get(storage_id)
            if not isinstance(before, S3Storage):
                raise _other_type(before)
            return self._edit(before, _s3_storage(fields, before), apply)

    def delete(self, storage_id: int, *, apply: bool) -> Change[StorageEntry]:
        """Forget a storage, not its backups; one in use is :class:`InvalidParameterError`, saying by what."""
        with self._store.transaction():
            storage = self._store.storages.get(storage_id)
            users = [
                config.backup_name for config in self._store.configs.list() if config.storage_id == storage_id
            ]
            if users:
                raise InvalidParameterError(
                    f"Storage {storage.storage_name!r} ('storage_id' {storage_id}) is in use by the backup"
                    f" configurations {joined(users)}: delete them or give them another storage first.",
                    "storage_id",
                )
            change = Change(True, self._entry(storage), None)
            if apply:
                self._store.storages.delete(storage_id)
        return change

    def test(self, storage_name: str, *, pin: bool, since: float | None = None) -> StorageCheck:
        """Test a storage by what a backup needs of it; raises what failed, 4000 or 4001.

        ``pin``: an SSH server's key is remembered at the first success, and another refused from then on.
        ``since``: when its deadline began to run by :func:`time.monotonic`, by default now.
        """
        access = access_by_name(self._store, storage_name)
        checked = self._queries.check_storage(access, since)
        if pin:
            self.pin(access.storage, checked.host_key)
        return checked

    def pin(self, storage: StorageConfig, host_key: str) -> None:
        """Remember the key that a server showed, where none is known; see ``jobs.host_keys.pin_host_key``."""
        pin_host_key(self._store, storage, host_key)

    def _add(self, storage: StorageConfig, apply: bool) -> Change[StorageEntry]:
        with self._store.transaction():
            self._refuse_taken(storage.storage_name)
            # Looks the SSH id up, so that a dry run refuses an unknown one as well.
            entry = self._entry(storage)
            if apply:
                entry = replace(entry, storage=self._store.storages.add(storage))
        return Change(True, None, entry)

    def _edit(self, before: StorageConfig, after: StorageConfig, apply: bool) -> Change[StorageEntry]:
        if after.storage_name != before.storage_name:
            self._refuse_taken(after.storage_name)
        change = Change(after != before, self._entry(before), self._entry(after))
        if apply and change.changed:
            self._store.storages.update(after)
        return change

    def _refuse_taken(self, storage_name: str) -> None:
        refuse_taken(self._store.storages.by_name, storage_name, "a storage", "storage_name")

    def _entry(self, storage: StorageConfig) -> StorageEntry:
        if isinstance(storage, SshStorage):
            return StorageEntry(storage, self._store.ssh_ids.get(storage.ssh_id_id).key_name)
        return StorageEntry(storage)


def _ssh_storage(fields: SshStorageFields, before: SshStorage | None) -> SshStorage:
    kept = _kept_host_key(fields, before) if before else ""
    return SshStorage(
        storage_name=fields.storage_name,
        server_name=fields.server_name,
        ssh_port=fields.ssh_port,
        ssh_username=fields.ssh_username,
        ssh_id_id=fields.ssh_id_id,
        storage_base=fields.storage_base,
        host_key=kept if fields.host_key is None else fields.host_key,
        storage_id=before.storage_id if before else 0,
    )


def _kept_host_key(fields: SshStorageFields, before: SshStorage) -> str:
    """Return the known key, unless it is another server's: then the next test remembers the new one's."""
    same = (fields.server_name, fields.ssh_port) == (before.server_name, before.ssh_port)
    return before.host_key if same else ""


def _s3_storage(fields: S3StorageFields, before: S3Storage | None) -> S3Storage:
    secret = fields.aws_secret_key
    if secret is None:
        if before is None:
            raise InvalidParameterError("Missing required field 'aws_secret_key'.", "aws_secret_key")
        secret = before.aws_secret_key
    return S3Storage(
        storage_name=fields.storage_name,
        aws_key_id=fields.aws_key_id,
        aws_secret_key=secret,
        bucket_name=fields.bucket_name,
        file_size=fields.file_size,
        endpoint_url=_or_kept(fields.endpoint_url, before.endpoint_url if before else ""),
        region=_or_kept(fields.region, before.region if before else ""),
        prefix=_or_kept(fields.prefix, before.prefix if before else ""),
        storage_id=before.storage_id if before else 0,
    )


def _or_kept(given: str | None, kept: str) -> str:
    return kept if given is None else given


def _other_type(storage: StorageConfig) -> InvalidParameterError:
    return InvalidParameterError(
        f"Invalid value of 'storage_id': storage {storage.storage_name!r} is of type {storage.type}.",
        "storage_id",
    )
