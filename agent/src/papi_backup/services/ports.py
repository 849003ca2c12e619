# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the verbs need of the job queue and of the processes that talk to storages."""

from __future__ import annotations

from typing import Protocol

from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.check import StorageCheck
from papi_backup.model.job import (
    BackupOrder,
    Job,
    Progress,
    RestoreOptions,
    RestoreOrder,
    RestorePlanSummary,
)
from papi_backup.model.schedule import BackupConfig, BackupType
from papi_backup.model.storage import StorageAccess


class JobQueue(Protocol):
    """Queues jobs; a ``request_id`` that was used before returns the job it made then."""

    def enqueue_backup(self, config: BackupConfig, backup_type: BackupType, request_id: str = "") -> Job:
        """Queue a backup of ``config``."""

    def enqueue_restore(self, options: RestoreOptions, request_id: str = "") -> Job:
        """Queue a restore."""

    def cancel(self, job_id: int, by: str) -> Job:
        """End a job and return it as it is now; one that has ended stays as it is."""

    def progress(self, job_id: int) -> Progress | None:
        """Return what a running job last reported."""


class StorageQueries(Protocol):
    """Asks storages, with deadlines.  Every method raises :class:`PapiError`."""

    def list_backups(self, access: StorageAccess, host_name: str) -> list[CatalogEntry]:
        """Return a host's backups."""

    def list_host_names(self, access: StorageAccess) -> list[str]:
        """Return the hosts that have backups."""

    def check_storage(self, access: StorageAccess, since: float | None = None) -> StorageCheck:
        """Test a storage; the error names the step that failed.

        ``since``: when its deadline began to run by :func:`time.monotonic`, by default now.
        """

    def check_backup(self, order: BackupOrder, room: int, since: float | None = None) -> StorageCheck:
        """Test what a backup needs, ``room`` bytes on its storage included; the error names the step."""

    def plan_restore(self, order: RestoreOrder) -> RestorePlanSummary:
        """Return what a restore would do."""
