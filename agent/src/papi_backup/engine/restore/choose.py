# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backup a restore uses, and what the storage tells about it before anything is written."""

from __future__ import annotations

from dataclasses import dataclass

from papi_backup.engine.catalog import list_manifests, newest_at, refuse_cut
from papi_backup.engine.opened import OpenedBackup, missing_volumes, open_backup
from papi_backup.engine.restore.index import Index
from papi_backup.engine.storage.protocol import Storage
from papi_backup.model.errors import CorruptedBackupError
from papi_backup.model.job import RestoreOptions


@dataclass(frozen=True, slots=True)
class Chosen:
    """The backup of a date.  ``listed``: backups of its chain up to it that the storage lists."""

    opened: OpenedBackup
    listed: int

    @property
    def gone(self) -> int:
        """How many backups between the chain's full and this one are not on the storage any more."""
        return max(0, self.opened.manifest.sequence + 1 - self.listed)


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
    return Chosen(opened, listed)


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
