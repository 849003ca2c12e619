# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backup a restore uses, and what the storage tells about it before anything is written."""

from __future__ import annotations

from dataclasses import dataclass

from papi_backup.engine.catalog import list_manifests, newest_at, refuse_cut
from papi_backup.engine.format.names import CATALOG
from papi_backup.engine.opened import OpenedBackup, missing_volumes, open_backup
from papi_backup.engine.restore.index import Index
from papi_backup.engine.storage.protocol import Storage
from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.errors import CorruptedBackupError
from papi_backup.model.job import RestoreOptions

FIRST_TOLD = 10
"""Backups that are named; the others are counted."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The backup of a date.  ``listed``: backups of its chain up to it that the storage lists.

    ``passed_over``: backups between it and the date that this release cannot read.
    """

    opened: OpenedBackup
    listed: int
    passed_over: tuple[CatalogEntry, ...] = ()

    @property
    def gone(self) -> int:
        """How many backups between the chain's full and this one are not on the storage any more."""
        return max(0, self.opened.manifest.sequence + 1 - self.listed)

    @property
    def warning(self) -> str:
        """The newer backups that were passed over, by name and date; "" if there is none."""
        if not self.passed_over:
            return ""
        newest = self.passed_over[-FIRST_TOLD:][::-1]
        named = ", ".join(f"{CATALOG}{one.path} of {one.date:%Y-%m-%d %H:%M:%S} UTC" for one in newest)
        more = len(self.passed_over) - len(newest)
        return (
            "newer backups of a format that this release cannot read were passed over: "
            f"{named}{f', and {more:,} more' if more else ''}"
        )


def choose(storage: Storage, options: RestoreOptions) -> Chosen:
    """Find and open the newest backup at or before the date asked for, with the key given and no other.

    Raises NoSuchEntityError (naming the oldest), DecryptionKeyError, DecryptionKeyMissingError,
    CorruptedBackupError, and what the storage raises.
    """
    manifests = list_manifests(storage, options.hostname, options.backup_name)
    refuse_cut(manifests, options.restore_date)
    entries = manifests.whole
    entry = newest_at(entries, options.restore_date)
    opened = open_backup(storage, entry, options.encryption_key)
    listed = sum(1 for other in entries if other.chain == entry.chain and other.date <= entry.date)
    unreadable = (other for other in entries if not other.readable)
    passed_over = [other for other in unreadable if entry.date < other.date <= options.restore_date]
    return Chosen(opened, listed, tuple(passed_over))


@dataclass(frozen=True, slots=True)
class VolumeCheck:
    """What the listing says about the volumes: object name to what is wrong with it."""

    wrong: dict[str, str]
    missing: frozenset[str]


def check_volumes(storage: Storage, opened: OpenedBackup, index: Index) -> VolumeCheck:
    """Compare the backup's volume table with a listing of its chain.

    A damaged page of the table is one of the things that are wrong; what the other pages name is
    checked all the same.  Raises what the storage raises.
    """
    needed = set(opened.manifest.volumes)
    wrong: dict[str, str] = {}
    try:
        needed.update(index.volumes())
    except CorruptedBackupError as error:
        wrong[error.object_name] = error.message.removeprefix(error.object_name).strip(" .")
    found = missing_volumes(storage, opened, needed)
    wrong.update(found)
    return VolumeCheck(wrong, frozenset(name for name, what in found if what == "is missing"))
