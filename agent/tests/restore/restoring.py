# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backs a tree up on a directory storage and restores it; with ways to damage what is stored."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from backing_host import Host
from seen_trees import Tree, tree_on_disk

from papi_backup.engine.restore import plan_restore, run_restore
from papi_backup.engine.storage.directory import DirectoryStorage
from papi_backup.engine.storage.protocol import Storage
from papi_backup.model.job import (
    JobResult,
    Overwrite,
    Progress,
    RestoreOptions,
    RestoreOrder,
    RestorePlanSummary,
)
from papi_backup.model.schedule import BackupType
from papi_backup.model.secret import Secret

NEVER_TOO_LATE = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Opener:
    """Opens the directory storage; crosses a fork."""

    root: Path

    def __call__(self) -> Storage:
        return DirectoryStorage(self.root)


@dataclass
class RestoringHost:
    """A host that backs ``tree`` up and restores it, with ``helpers`` processes, to any place."""

    base: Path
    key: str = "the key"
    helpers: int = 1
    opener: Opener = field(default=Opener(Path()))
    backing: Host = field(default_factory=lambda: Host(Path(), Opener(Path())))
    reports: list[Progress] = field(default_factory=list)

    @classmethod
    def below(cls, base: Path, key: str = "the key") -> RestoringHost:
        """Return a host that keeps everything below ``base``."""
        opener = Opener(base / "store")
        (base / "store").mkdir()
        (base / "tree").mkdir()
        (base / "state").mkdir()
        (base / "cache").mkdir()
        return cls(base, key, opener=opener, backing=Host(base, opener, key))

    @property
    def tree(self) -> Path:
        """The directory that is backed up."""
        return self.backing.tree

    def back_up(self, backup_type: BackupType = "full") -> datetime:
        """Back the tree up; return the backup's date."""
        date = self.backing.back_up(backup_type).backup_date
        assert date is not None
        return date

    def order(
        self,
        target: Path | str,
        *,
        date: datetime = NEVER_TOO_LATE,
        key: str | None = None,
        include: tuple[str, ...] = (),
        overwrite: Overwrite = "changed",
        host_name: str = "",
        own_paths: tuple[str, ...] = (),
        high_water: str = "",
    ) -> RestoreOrder:
        """Return what the agent orders from its worker; ``host_name`` is the restoring host's."""
        order = self.backing.order()
        options = RestoreOptions(
            storage_id=1,
            backup_name="etc",
            restore_date=date,
            hostname=self.backing.name,
            encryption_key=Secret(self.key if key is None else key),
            target_dir=os.fspath(target),
            include=include,
            overwrite=overwrite,
        )
        return RestoreOrder(
            host_name=host_name or self.backing.name,
            access=order.access,
            options=options,
            own_paths=own_paths or (os.fspath(self.base / "state"),),
            instance_id=self.backing.instance,
            high_water=high_water,
            helpers=self.helpers,
        )

    def restore(self, order: RestoreOrder) -> JobResult:
        """Run a restore, keeping its progress reports."""
        return run_restore(order, self.opener, self.reports.append)

    def plan(self, order: RestoreOrder) -> RestorePlanSummary:
        """Plan a restore."""
        return plan_restore(order, self.opener)

    def restored(self, target: Path) -> Path:
        """Return where the tree is below a target."""
        return target / self.tree.relative_to("/")

    def seen(self, target: Path | None = None) -> Tree:
        """Return the tree as it is on disk, or as it was restored below a target."""
        return tree_on_disk(self.tree if target is None else self.restored(target))

    def volumes(self, kind: str = "") -> list[Path]:
        """Return the files of the volumes of one kind (i, d), or of all."""
        found = (path for path in (self.base / "store" / "data").rglob("*") if path.is_file())
        return sorted(path for path in found if not kind or path.parent.parent.name == kind)

    def name_of(self, volume: Path) -> str:
        """Return a volume's object name."""
        return os.fspath(volume.relative_to(self.base / "store"))


def flip(path: Path, position: int = 100) -> None:
    """Alter one bit of a stored object."""
    data = bytearray(path.read_bytes())
    data[position % len(data)] ^= 1
    path.write_bytes(data)
