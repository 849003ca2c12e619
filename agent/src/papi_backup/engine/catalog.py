# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups a storage holds, from LIST requests alone (design section 4, "Layout")."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from papi_backup.engine.format.names import CATALOG, catalog_prefix, parse_catalog_name, unescape_host
from papi_backup.engine.storage.protocol import Storage
from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.errors import CorruptedBackupError, NoSuchEntityError


def list_backups(storage: Storage, host_name: str, backup_name: str = "") -> list[CatalogEntry]:
    """Return a host's backups (of one name), oldest first.

    Raises what the storage raises; an object that is no manifest, or not of the size its name
    tells, is no backup.
    """
    return list_manifests(storage, host_name, backup_name).whole


@dataclass(frozen=True, slots=True)
class Manifests:
    """A host's manifests, oldest first; those ``cut`` have another size than their name tells."""

    whole: list[CatalogEntry]
    cut: list[CatalogEntry]


def list_manifests(storage: Storage, host_name: str, backup_name: str = "") -> Manifests:
    """Return a host's backups (of one name), and what damage has left of others.

    Raises what the storage raises.
    """
    manifests = Manifests([], [])
    for found in storage.list(catalog_prefix(host_name, backup_name)):
        entry = parse_catalog_name(found.name.removeprefix(CATALOG), None)
        if entry is not None:
            (manifests.whole if entry.manifest_size == found.size else manifests.cut).append(entry)
    for entries in (manifests.whole, manifests.cut):
        entries.sort(key=lambda entry: (entry.backup_name, entry.date, entry.backup))
    return manifests


def refuse_cut(manifests: Manifests, restore_date: datetime) -> None:
    """Raise CorruptedBackupError if the newest backup of a date is there, but cut or grown.

    It is no backup, and yet nobody may be given an older one as if it had never been.
    """
    newest = max((entry.date for entry in manifests.whole if entry.date <= restore_date), default=None)
    for entry in reversed(manifests.cut):
        if entry.date <= restore_date and (newest is None or entry.date > newest):
            name = CATALOG + entry.path
            raise CorruptedBackupError(
                f"{name} is damaged: it does not have the {entry.manifest_size} bytes that its name tells. "
                "An earlier restore_date gives the backup before it.",
                name,
            )


def list_host_names(storage: Storage) -> list[str]:
    """Return the names of hosts that have backups, sorted.

    A host whose backups have all been deleted is not told.  What lies under a host is not looked at: with
    thousands of hosts that would be thousands of requests.
    """
    names = map(unescape_host, storage.list_children(CATALOG))
    return sorted(name for name in names if name is not None)


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
