# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs as the API tells them (docs/api.md, "list_jobs"), and what a worker process is asked and answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from papi_backup.model.errors import InternalError, PapiError, in_words
from papi_backup.model.limits import UNLIMITED, Limits
from papi_backup.model.schedule import BackupType, SourceSet
from papi_backup.model.secret import Secret
from papi_backup.model.storage import StorageAccess

JobStatus = Literal["waiting", "running", "success", "failed"]
JobType = Literal["backup", "restore"]
Overwrite = Literal["always", "changed", "never", "fail"]
REPORT_SECONDS = 0.25
"""The least time between two reports of a process about its progress."""

OVERWRITE_POLICIES: tuple[Overwrite, ...] = ("always", "changed", "never", "fail")


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """What restore_backup asks for.  ``restore_date`` is aware and names the newest instant allowed."""

    storage_id: int
    backup_name: str
    restore_date: datetime
    hostname: str
    encryption_key: Secret
    target_dir: str = ""
    include: tuple[str, ...] = ()
    overwrite: Overwrite = "changed"
    numeric_owner: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """One row of the job history.  Instants are aware UTC; sizes are bytes."""

    job_id: int
    job_type: JobType
    job_status: JobStatus
    backup_name: str
    backup_type: BackupType
    start_date: datetime
    end_date: datetime | None = None
    description: str = ""
    error_code: int = 0
    size_transferred: int = 0
    backup_id: int = 0
    request_id: str = ""
    files: int = 0
    bytes_read: int = 0
    bytes_stored: int = 0
    entries_changed: int = 0
    """Of a restore: what it made, replaced or gave other metadata; of a backup 0."""
    warnings: int = 0


def waiting(
    job_type: JobType, backup_name: str, backup_type: BackupType, start_date: datetime, request_id: str = ""
) -> Job:
    """Return a job that is queued at ``start_date``; it gets its id from the state."""
    return Job(
        job_id=0,
        job_type=job_type,
        job_status="waiting",
        backup_name=backup_name,
        backup_type=backup_type,
        start_date=start_date,
        request_id=request_id,
    )


def failed(job: Job, error: PapiError, end_date: datetime) -> Job:
    """Return ``job`` as it is after ``error`` has ended it."""
    return replace(
        job,
        job_status="failed",
        end_date=end_date,
        description=in_words(error.code, error.message),
        error_code=error.code,
    )


def cancellation(by: str) -> PapiError:
    """Return what ends a job that somebody called ``by`` cancels."""
    return InternalError(f"cancelled by {by}")


@dataclass(frozen=True, slots=True)
class BackupOrder:
    """Everything a worker needs to run one backup; sent over its standard input, never argv."""

    host_name: str
    instance_id: str
    backup_name: str
    backup_type: BackupType
    access: StorageAccess
    sources: SourceSet
    encryption_key: Secret
    state_dir: str
    cache_dir: str
    known_chain_keys: tuple[tuple[str, Secret], ...] = ()
    high_water: str = ""
    scrypt_cost: int = 1 << 16
    helpers: int = 2
    limits: Limits = UNLIMITED
    backup: str = ""
    """The id that this job's backup gets; empty where no backup is written.  The state knows it before."""


@dataclass(frozen=True, slots=True)
class RestoreOrder:
    """Everything a worker needs to run one restore.

    ``own_paths`` are of the agent itself: what a backup has there is not restored over them.
    """

    host_name: str
    access: StorageAccess
    options: RestoreOptions
    own_paths: tuple[str, ...]
    helpers: int = 2
    limits: Limits = UNLIMITED
    instance_id: str = ""
    high_water: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """A worker's report while it runs; 0 where a total is not known.

    ``rate`` (bytes/s) and ``remaining_seconds`` are added by who follows the reports.
    """

    files_done: int = 0
    files_total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    rate: int = 0
    remaining_seconds: int = 0
    committing: bool = False
    """Whether the manifest is about to be written: from this report on, the backup may exist."""


@dataclass(frozen=True, slots=True)
class JobResult:
    """What a finished worker reports.  ``description`` is for list_jobs and holds no secret."""

    description: str
    backup_type: BackupType
    size_transferred: int
    files: int
    bytes_read: int
    bytes_stored: int
    entries_changed: int = 0
    warnings: tuple[str, ...] = ()
    backup_date: datetime | None = None
    chain: str = ""
    chain_key: Secret | None = None
    high_water: str = ""
    warning_count: int = 0
    """Where it is more than ``warnings`` has texts: how many there were."""


@dataclass(frozen=True, slots=True)
class FoundBackup:
    """What a storage knows of a job whose outcome was lost: its result, or None if it wrote no backup."""

    result: JobResult | None


@dataclass(frozen=True, slots=True)
class RestorePlanSummary:
    """The answer of a dry-run restore (docs/restoring.md): which backup, how much, what would be overwritten.

    ``repairs`` counts what would get other metadata and nothing else, directories among it.
    """

    catalog_path: str
    date: datetime
    backup_type: BackupType
    instance: str
    sequence: int
    files: int
    bytes: int
    creates: int
    overwrites: int
    repairs: int
    keeps: int
    overwritten: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
