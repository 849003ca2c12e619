# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host as the engine sees it: sources, a storage, a clock and what its agent remembers."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from seen_trees import Tree, tree_in_backup, tree_on_disk

from papi_backup.engine.backup import run_backup
from papi_backup.engine.catalog import list_backups
from papi_backup.engine.format.manifest import INLINE_VOLUMES
from papi_backup.engine.opened import OpenedBackup, open_backup
from papi_backup.engine.restore import run_restore
from papi_backup.engine.storage.protocol import Storage, StorageOpener
from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.job import BackupOrder, JobResult, Progress, RestoreOptions, RestoreOrder
from papi_backup.model.schedule import BackupType, SourceSet
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage, StorageAccess

CHEAP_SCRYPT = 1 << 10


def ignore(progress: Progress) -> None:
    """Take a progress report and drop it."""


@dataclass
class Host:
    """Backs ``tree`` up under the name ``etc``; ``base`` holds the agent's own directories.

    ``access`` is for who opens the storage by itself; ``file_size`` is in mebibytes.  The agent's
    memory (chain keys, high-water mark) follows each successful backup as the job supervisor would have it.
    """

    base: Path
    opener: StorageOpener
    key: str = ""
    name: str = "host.example"
    instance: str = "0123456789abcdef"
    file_size: int = 1
    helpers: int = 0
    excludes: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    inline_volumes: int = INLINE_VOLUMES
    report: Callable[[Progress], None] = ignore
    clock: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)
    chain_keys: dict[str, Secret] = field(default_factory=dict)
    high_water: str = ""
    access: StorageAccess | None = None

    @property
    def tree(self) -> Path:
        """The directory that is backed up unless ``paths`` says otherwise."""
        return self.base / "tree"

    @property
    def cache_dir(self) -> Path:
        """Where the agent keeps its copies of index segments."""
        return self.base / "cache"

    def order(self, backup_type: BackupType = "inc") -> BackupOrder:
        """Return what the agent orders from its worker."""
        bucket = S3Storage("bucket", "id", Secret("secret"), "bucket", self.file_size)
        return BackupOrder(
            host_name=self.name,
            instance_id=self.instance,
            backup_name="etc",
            backup_type=backup_type,
            access=self.access or StorageAccess(bucket),
            sources=SourceSet(self.paths or (os.fspath(self.tree),), self.excludes),
            encryption_key=Secret(self.key),
            state_dir=os.fspath(self.base / "state"),
            cache_dir=os.fspath(self.cache_dir),
            known_chain_keys=tuple(self.chain_keys.items()),
            high_water=self.high_water,
            scrypt_cost=CHEAP_SCRYPT,
            helpers=self.helpers,
        )

    def back_up(self, backup_type: BackupType = "inc", opener: StorageOpener | None = None) -> JobResult:
        """Run one backup, an hour after the last; ``opener`` stands in for the host's own once."""
        self.clock += timedelta(hours=1)
        result = run_backup(
            self.order(backup_type),
            opener or self.opener,
            self.report,
            lambda: self.clock,
            inline_volumes=self.inline_volumes,
        )
        self.high_water = result.high_water
        if result.chain_key is not None:
            self.chain_keys[result.chain] = result.chain_key
        return result

    def restore(
        self, target: Path, date: datetime, *, key: str | None = None, opener: StorageOpener | None = None
    ) -> JobResult:
        """Restore the newest backup of a date below ``target``; ``key`` and ``opener`` replace the own."""
        options = RestoreOptions(
            storage_id=1,
            backup_name="etc",
            restore_date=date,
            hostname=self.name,
            encryption_key=Secret(self.key if key is None else key),
            target_dir=os.fspath(target),
        )
        order = RestoreOrder(
            host_name=self.name,
            access=self.order().access,
            options=options,
            own_paths=(os.fspath(self.base / "state"),),
            helpers=self.helpers,
        )
        return run_restore(order, opener or self.opener, self.report)

    def restored(self, target: Path) -> Tree:
        """Return the tree as it was restored below ``target``, empty if nothing was."""
        place = target / self.tree.relative_to("/")
        return tree_on_disk(place) if place.exists() else {}

    def storage(self) -> Storage:
        """Open the storage."""
        return self.opener()

    def backups(self) -> list[CatalogEntry]:
        """Return this host name's backups, oldest first."""
        return list_backups(self.opener(), self.name, "etc")

    def opened(self, entry: CatalogEntry | None = None) -> OpenedBackup:
        """Open a backup (the newest) with nothing but the key, as a stranger host would."""
        return open_backup(self.opener(), entry or self.backups()[-1], Secret(self.key))

    def saved(self, entry: CatalogEntry | None = None) -> Tree:
        """Return what a backup (the newest) holds of the tree, every content verified."""
        return tree_in_backup(self.opener(), self.opened(entry), self.tree)

    def clone(self, base: Path, instance: str) -> Host:
        """Return another installation on a copy of this host; it shares name, key and storage."""
        return replace(self, base=base, instance=instance, chain_keys=dict(self.chain_keys))

    def object_names(self) -> set[str]:
        """Return every object on the storage."""
        return {found.name for found in self.opener().list("")}
