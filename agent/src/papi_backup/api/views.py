# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model as answers show it (docs/api.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from papi_backup.api.dates import format_date
from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.check import StorageCheck
from papi_backup.model.job import Job, Progress, RestorePlanSummary
from papi_backup.model.schedule import BackupType, Schedule
from papi_backup.model.secret import MASK, NO_SECRET, Secret
from papi_backup.model.storage import SshId, SshStorage
from papi_backup.scheduler.upcoming import NextRuns
from papi_backup.services.change import Change
from papi_backup.services.configs import ConfigEntry, ConfigStatus
from papi_backup.services.storages import StorageEntry

T = TypeVar("T")
Fields = dict[str, object]
Show = Callable[[Secret], str]
_SAME = f"{MASK} (same)"
_DIFFERENT = f"{MASK} (different)"
_CLOCK_TOLERANCE = timedelta(hours=24)


def revealed(secret: Secret) -> str:
    """Show a secret."""
    return secret.reveal()


def masked(secret: Secret) -> str:
    """Show only whether there is a secret."""
    return MASK if secret else ""


@dataclass(frozen=True, slots=True)
class View:
    """One thing: its fields, one of which may hold a secret."""

    fields: Fields
    secret_name: str = ""
    secret: Secret = NO_SECRET

    def shown(self, show: Show) -> Fields:
        """Return the fields, the secret as ``show`` shows it."""
        if not self.secret_name:
            return self.fields
        return self.fields | {self.secret_name: show(self.secret)}


def change_view(change: Change[View]) -> Fields:
    """Return what a dry run answers.  Secrets are masked; the flag tells whether both sides have the same."""
    before, after = change.before, change.after
    same = before is not None and after is not None and before.secret == after.secret

    def shown(old: bool) -> Show:
        flagged = _SAME if same else MASK if old and after is not None else _DIFFERENT
        return lambda secret: flagged if secret else ""

    return {
        "changed": change.changed,
        "before": before.shown(shown(old=True)) if before else {},
        "after": after.shown(shown(old=False)) if after else {},
    }


def view_change(change: Change[T], view: Callable[[T], View]) -> Change[View]:
    """Turn both sides of a change into views."""
    before, after = change.before, change.after
    return Change(
        change.changed,
        None if before is None else view(before),
        None if after is None else view(after),
    )


def storage_view(entry: StorageEntry) -> View:
    """A storage (list_storages)."""
    storage = entry.storage
    common = _numbered("storage_id", storage.storage_id) | {
        "storage_name": storage.storage_name,
        "type": storage.type,
    }
    if isinstance(storage, SshStorage):
        ssh: Fields = {
            "server_name": storage.server_name,
            "ssh_port": storage.ssh_port,
            "username": storage.ssh_username,
            "ssh_id": entry.ssh_id_name,
            "ssh_id_id": storage.ssh_id_id,
            "storage_base": storage.storage_base,
            "host_key": storage.host_key,
        }
        return View(common | ssh)
    s3: Fields = {
        "aws_key_id": storage.aws_key_id,
        "aws_secret_key": "",
        "bucket_name": storage.bucket_name,
        "file_size": storage.file_size,
        "endpoint_url": storage.endpoint_url,
        "region": storage.region,
        "prefix": storage.prefix,
    }
    return View(common | s3, "aws_secret_key", storage.aws_secret_key)


def ssh_id_view(ssh_id: SshId) -> View:
    """An SSH id (list_ssh_ids)."""
    fields = _numbered("ssh_id_id", ssh_id.ssh_id_id) | {
        "key_name": ssh_id.key_name,
        "key_length": ssh_id.key_length,
    }
    return View(fields)


def _general_view(entry: ConfigEntry) -> View:
    config = entry.config
    fields = _numbered("backup_id", config.backup_id) | {
        "backup_name": config.backup_name,
        "storage_name": entry.storage_name,
        "storage_id": config.storage_id,
        "encryption_key": "",
        "paths": list(config.paths),
        "excludes": list(config.excludes),
    }
    return View(fields, "encryption_key", config.encryption_key)


def config_view(entry: ConfigEntry) -> View:
    """A configuration with its schedules, flat, as dry runs show it."""
    schedules: Fields = {
        "full": schedule_view(entry.config.full, "full"),
        "inc": schedule_view(entry.config.inc, "inc"),
    }
    general = _general_view(entry)
    return replace(general, fields=general.fields | schedules)


def config_description(entry: ConfigEntry, upcoming: NextRuns, show: Show, zone: ZoneInfo) -> Fields:
    """A configuration (get_backup_config)."""
    return {
        "config": _general_view(entry).shown(show),
        "full": schedule_view(entry.config.full, "full") | _next_runs_view(upcoming.full, zone),
        "inc": schedule_view(entry.config.inc, "inc") | _next_runs_view(upcoming.inc, zone),
    }


def config_status(status: ConfigStatus, show: Show, zone: ZoneInfo) -> Fields:
    """A configuration with its last jobs and its next runs (list_backup_config)."""
    return _general_view(status.entry).shown(show) | {
        "full": _last_job_view(status.full, zone) | _next_runs_view(status.next_runs.full, zone),
        "inc": _last_job_view(status.inc, zone) | _next_runs_view(status.next_runs.inc, zone),
    }


def _next_runs_view(runs: Sequence[datetime], zone: ZoneInfo) -> Fields:
    """An extension; not part of what dry runs compare, because it changes by itself."""
    return {"next_runs": [format_date(run, zone) for run in runs]}


def schedule_view(schedule: Schedule, kind: BackupType) -> Fields:
    """A schedule; the two deprecated fields of the spec are there for clients that read them."""
    return {
        "period": schedule.period,
        "frequency": schedule.frequency,
        "time_list": list(schedule.time_list),
        "day_run": ",".join(map(str, schedule.day_run)),
        "time_run": ",".join(map(str, schedule.time_run)),
        "backup_type": kind,
        "template": "",
    }


def _last_job_view(job: Job | None, zone: ZoneInfo) -> Fields:
    if job is None:
        return dict.fromkeys(("job_status", "description", "start_date", "end_date"), "")
    return {
        "job_status": job.job_status,
        "description": job.description,
        "start_date": format_date(job.start_date, zone),
        "end_date": format_date(job.end_date, zone),
    }


def job_view(job: Job, zone: ZoneInfo, progress: Progress | None = None) -> Fields:
    """A job (list_jobs), of a running one with its ``progress``: a long history stays as short as it can."""
    return (
        _numbered("job_id", job.job_id)
        | {
            "job_type": job.job_type,
            "job_status": job.job_status,
            "description": job.description,
            "backup_name": job.backup_name,
            "backup_type": job.backup_type,
            "start_date": format_date(job.start_date, zone),
            "end_date": format_date(job.end_date, zone),
            "size_transferred": job.size_transferred,
            "size_transferred_human": human_size(job.size_transferred),
            "error_code": job.error_code,
            "files": job.files,
            "bytes_read": job.bytes_read,
            "bytes_stored": job.bytes_stored,
            "entries_changed": job.entries_changed,
            "warnings": job.warnings,
        }
        | (_progress_view(progress) if progress else {})
    )


def _progress_view(progress: Progress) -> Fields:
    return {
        "files_done": progress.files_done,
        "files_total": progress.files_total,
        "bytes_done": progress.bytes_done,
        "bytes_total": progress.bytes_total,
        "rate": progress.rate,
        "remaining_seconds": progress.remaining_seconds,
    }


def steps_view(check: StorageCheck) -> list[Fields]:
    """What a test tried (test_storage, test_backup_config)."""
    return [
        {"step": step.name, "milliseconds": round(step.seconds * 1000), "detail": step.detail}
        for step in check.steps
    ]


def plan_view(plan: RestorePlanSummary, zone: ZoneInfo) -> Fields:
    """What a restore would do."""
    return {
        "catalog_path": plan.catalog_path,
        "date": format_date(plan.date, zone),
        "backup_type": plan.backup_type,
        "instance": plan.instance,
        "sequence": plan.sequence,
        "files": plan.files,
        "bytes": plan.bytes,
        "creates": plan.creates,
        "overwrites": plan.overwrites,
        "repairs": plan.repairs,
        "keeps": plan.keeps,
        "overwritten": list(plan.overwritten),
        "warnings": list(plan.warnings),
    }


def backup_view(entry: CatalogEntry, zone: ZoneInfo, now: datetime) -> Fields:
    """A backup on a storage (list_backups)."""
    return {
        "date": format_date(entry.date, zone),
        "path": entry.path,
        "full": entry.backup_type == "full",
        "encrypted": entry.encrypted,
        "hostname": entry.host_name,
        "backup_type": entry.backup_type,
        "chain": entry.chain,
        "backup": entry.backup,
        "instance": entry.instance,
        "readable": entry.readable,
        "warning": _warning(entry, now),
    }


def _warning(entry: CatalogEntry, now: datetime) -> str:
    if not entry.readable:
        return "its format is of a version this agent does not know"
    if entry.date > now + _CLOCK_TOLERANCE:
        return "its date is more than a day ahead of this host's clock"
    return ""


def human_size(size: int) -> str:
    """Return a number of bytes for people: ``0 B``, ``21.4 MiB``."""
    if size < 1024:
        return f"{size} B"
    amount = float(size)
    for unit in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        amount /= 1024
        # What rounds up to 1024.0 belongs to the next unit.
        if amount < 1023.95:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1024:.1f} EiB"


def _numbered(name: str, number: int) -> Fields:
    """The id of a thing; one that is only planned has none."""
    return {name: number} if number else {}
