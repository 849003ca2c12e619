# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What storages hold: backups and host names (docs/api.md, "list_backups")."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.errors import PapiError, from_code
from papi_backup.model.storage import StorageAccess, StorageConfig
from papi_backup.services.lookups import access_by_name
from papi_backup.services.ports import StorageQueries
from papi_backup.state.store import Store

Backups = dict[str, list[CatalogEntry]]
"""The backups of each backup name, oldest first."""


class CatalogService:
    """Listings.  One storage that fails fails the call, named: a listing that lacks it would be believed."""

    def __init__(
        self, store: Store, host_name: str, queries: StorageQueries, clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._host_name = host_name
        self._queries = queries
        self.clock = clock

    def list_backups(
        self,
        storage_name: str = "",
        hostname: str = "",
        date_from: datetime | None = None,
        date_to: datetime | None = None,
    ) -> dict[str, Backups]:
        """Return the backups of a host by storage and name; both bounds included.

        A blank ``storage_name`` means all storages, a blank ``hostname`` this host.
        Raises :class:`NoSuchEntityError` for an unknown storage, else what the storage raised.
        """
        found: dict[str, Backups] = {}
        for access in self._asked(storage_name):
            with _named(access.storage):
                entries = self._queries.list_backups(access, hostname or self._host_name)
            found[access.storage.storage_name] = _by_name(entries, date_from, date_to)
        return found

    def list_host_names(self, storage_name: str = "") -> dict[str, list[str]]:
        """Return the hosts that have backups by storage; raises as :meth:`list_backups` does."""
        found: dict[str, list[str]] = {}
        for access in self._asked(storage_name):
            with _named(access.storage):
                found[access.storage.storage_name] = self._queries.list_host_names(access)
        return found

    def _asked(self, storage_name: str) -> list[StorageAccess]:
        """All at once: while the first is asked, others may be edited."""
        if storage_name:
            return [access_by_name(self._store, storage_name)]
        with self._store.undisturbed():
            return [self._store.access_to(storage) for storage in self._store.storages.list()]


def _by_name(entries: list[CatalogEntry], date_from: datetime | None, date_to: datetime | None) -> Backups:
    found: Backups = {}
    for entry in sorted(entries, key=lambda entry: (entry.backup_name, entry.date, entry.backup)):
        if (date_from is None or entry.date >= date_from) and (date_to is None or entry.date <= date_to):
            found.setdefault(entry.backup_name, []).append(entry)
    return found


@contextmanager
def _named(storage: StorageConfig) -> Iterator[None]:
    try:
        yield
    except PapiError as error:
        name = repr(storage.storage_name)
        if name in error.message:
            raise
        raise from_code(error.code, f"Storage {name}: {error.message}") from error
