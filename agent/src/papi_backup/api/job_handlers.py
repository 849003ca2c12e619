# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Handlers of the methods on jobs and on the backups of storages."""

from __future__ import annotations

from typing import cast

from papi_backup.api.call import Answer, Call
from papi_backup.api.views import View, backup_view, change_view, job_view, plan_view, view_change
from papi_backup.model.job import Job, Overwrite
from papi_backup.model.schedule import BackupType
from papi_backup.services.jobs import RestoreFields


def list_jobs(call: Call) -> Answer:
    """The history of jobs."""
    jobs, zone = call.services.jobs, call.zone
    return Answer(call.listing.of(jobs, zone, lambda job: job_view(job, zone, jobs.progress(job))))


def cancel_job(call: Call) -> Answer:
    """End a job."""
    job_id, zone = call.arguments.integer("job_id"), call.zone
    change = call.services.jobs.cancel(job_id, call.identity.name, apply=not call.dry_run)
    if call.dry_run:
        return Answer(change_view(view_change(change, lambda job: View(job_view(job, zone)))))
    return Answer(beside={"job_status": change.after.job_status if change.after else "failed"})


def run_backup(call: Call) -> Answer:
    """Queue a backup."""
    arguments = call.arguments
    backup_type: BackupType = cast("BackupType", arguments.text("backup_type"))
    change = call.services.jobs.run_backup(
        arguments.text("backup_name"),
        backup_type,
        arguments.text("request_id"),
        apply=not call.dry_run,
    )
    if call.dry_run:
        zone = call.zone
        return Answer(change_view(view_change(change, lambda job: View(job_view(job, zone)))))
    return _queued(change.after)


def restore_backup(call: Call) -> Answer:
    """Queue a restore; a dry run answers its plan."""
    arguments, zone = call.arguments, call.zone
    restore_date = arguments.latest("restore_date", zone)
    if restore_date is None:
        raise TypeError("the table requires restore_date")
    overwrite: Overwrite = cast("Overwrite", arguments.text("overwrite"))
    fields = RestoreFields(
        storage_name=arguments.text("storage_name"),
        backup_name=arguments.text("backup_name"),
        restore_date=restore_date,
        encryption_key=arguments.secret("encryption_key"),
        hostname=arguments.text("hostname"),
        target_dir=arguments.text("target_dir"),
        include=arguments.texts("include"),
        overwrite=overwrite,
        numeric_owner=arguments.flag("numeric_owner"),
    )
    if call.dry_run:
        return Answer(plan_view(call.services.jobs.plan_restore(fields), zone))
    return _queued(call.services.jobs.restore(fields, arguments.text("request_id")))


def list_backups(call: Call) -> Answer:
    """The backups of a host by storage and name."""
    arguments, zone, catalog = call.arguments, call.zone, call.services.catalog
    found = catalog.list_backups(
        storage_name=arguments.text("storage_name"),
        hostname=arguments.text("hostname"),
        date_from=arguments.earliest("date_from", zone),
        date_to=arguments.latest("date_to", zone),
    )
    now = catalog.clock()
    return Answer(
        {
            storage_name: {
                backup_name: [backup_view(entry, zone, now) for entry in entries]
                for backup_name, entries in backups.items()
            }
            for storage_name, backups in found.items()
        }
    )


def list_hostnames(call: Call) -> Answer:
    """The hosts that have backups by storage."""
    return Answer(call.services.catalog.list_host_names(call.arguments.text("storage_name")))


def _queued(job: Job | None) -> Answer:
    return Answer(beside={"job_id": job.job_id if job else 0})
