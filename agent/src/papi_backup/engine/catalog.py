# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups a storage holds, from LIST requests alone (docs/format.md, "Objects and their names")."""

from __future__ import annotations

from dataclasses import dataclass
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
    return list_manifests(storage, host_name, backup_name).whole


@dataclass(frozen=True, slots=True)
class Manifests:
    """A host's manifests, oldest first; those ``cut`` have another size than their name tells.

    ``modified`` maps paths to seconds since the epoch by the server's clock.
    """

    whole: list[CatalogEntry]
    cut: list[CatalogEntry]
    modified: dict[str, float]


def list_manifests(storage: Storage, host_name: str, backup_name: str = "") -> Manifests:
    """Return a host's backups (of one name), and what damage has left of others.

    Raises what the storage raises.
    """
    manifests = Manifests([], [], {})
    for found in storage.list(catalog_prefix(host_name, backup_name)):
        entry = parse_catalog_name(found.name.removeprefix(CATALOG), None)
        if entry is not None:
            (manifests.whole if entry.manifest_size == found.size else manifests.cut).append(entry)
            manifests.modified[entry.path] = found.modified
    for entries in (manifests.whole, manifests.cut):
        entries.sort(key=lambda entry: (entry.backup_name, entry.date, entry.backup))
    return manifests


def list_host_names(storage: Storage) -> list[str]:
    """Return the names of hosts that have backups, sorted.

    A host whose backups have all been deleted is not told.  What lies under a host is not looked at: with
    thousands of hosts that would be thousands of requests.
    """
    names = map(unescape_host, storage.list_children(CATALOG))
    return sorted(name for name in names if name is not None)


def at_or_before(manifests: Manifests, restore_date: datetime) -> list[CatalogEntry]:
    """Return the readable manifests at or before ``restore_date``, cut ones included.

    Raises NoSuchEntityError, which names the oldest one, when all are younger or none is there.
    """
    readable = [entry for entry in (*manifests.whole, *manifests.cut) if entry.readable]
    if not readable:
        raise NoSuchEntityError("There is no backup of that name of that host on the storage.")
    chosen = [entry for entry in readable if entry.date <= restore_date]
    if not chosen:
        oldest = min(readable, key=lambda entry: entry.date)
        raise NoSuchEntityError(
            f"There is no backup at or before {restore_date:%Y-%m-%d %H:%M:%S %Z}; "
            f"the oldest is of {oldest.date:%Y-%m-%d %H:%M:%S} UTC."
        )
    return chosen
