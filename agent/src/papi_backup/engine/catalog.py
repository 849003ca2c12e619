# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups a storage holds, from LIST requests alone (design section 4, "Layout")."""

from __future__ import annotations

from datetime import datetime

from papi_backup.engine.format.names import CATALOG, catalog_prefix, parse_catalog_name, unescape_host
from papi_backup.engine.storage.protocol import Storage
from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.errors import NoSuchEntityError


def list_backups(storage: Storage, host_name: str, backup_name: str = "") -> list[CatalogEntry]:
    """Return a host's backups (of one name), oldest first.

    Raises what the storage raises; an object that is no manifest, or not of the size its name
    tells, is no backup.
    """
    entries = []
    for found in storage.list(catalog_prefix(host_name, backup_name)):
        entry = parse_catalog_name(found.name.removeprefix(CATALOG), found.size)
        if entry is not None:
            entries.append(entry)
    return sorted(entries, key=lambda entry: (entry.backup_name, entry.date, entry.backup))


def list_host_names(storage: Storage) -> list[str]:
    """Return the names of hosts that have at least one backup, sorted.

    A host's directory without a manifest (all deleted) is not told.
    """
    names = []
    for component in storage.list_children(CATALOG):
        host_name = unescape_host(component)
        if host_name is not None and _has_backup(storage, f"{CATALOG}{component}/"):
            names.append(host_name)
    return sorted(names)


def _has_backup(storage: Storage, prefix: str) -> bool:
    return any(
        parse_catalog_name(found.name.removeprefix(CATALOG), found.size) is not None
        for found in storage.list(prefix)
    )


def newest_at(entries: list[CatalogEntry], restore_date: datetime) -> CatalogEntry:
    """Return the newest readable backup at or before ``restore_date``.

    Raises NoSuchEntityError, which names the oldest one, when all are younger or none is there.
    """
    readable = [entry for entry in entries if entry.readable]
    if not readable:
        raise NoSuchEntityError("There is no backup of that name of that host on the storage.")
    chosen = [entry for entry in readable if entry.date <= restore_date]
    if not chosen:
        oldest = min(readable, key=lambda entry: entry.date)
        raise NoSuchEntityError(
            f"There is no backup at or before {restore_date:%Y-%m-%d %H:%M:%S %Z}; "
            f"the oldest is of {oldest.date:%Y-%m-%d %H:%M:%S} UTC."
        )
    return max(chosen, key=lambda entry: (entry.date, entry.backup))
