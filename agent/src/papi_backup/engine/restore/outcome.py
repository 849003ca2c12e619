# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a finished restore tells: a description for list_jobs, or the error that names what is lost."""

from __future__ import annotations

from papi_backup.engine.restore.choose import Chosen
from papi_backup.engine.restore.tally import Causes, Tally, entries
from papi_backup.engine.restore.tree import Target
from papi_backup.model.errors import CorruptedBackupError, PapiError, TransferError
from papi_backup.model.job import JobResult, RestoreOrder

FIRST_TOLD = 10


def summary(tally: Tally, chosen: Chosen, order: RestoreOrder, target: Target) -> str:
    """Return the sentence that says which backup was restored, how much of it and where."""
    entry, manifest = chosen.opened.entry, chosen.opened.manifest
    files = f"{tally.files:,} {'file' if tally.files == 1 else 'files'} ({tally.bytes:,} bytes)"
    kept = f", {tally.kept:,} were there already," if tally.kept else ""
    kind = "full" if manifest.backup_type == "full" else "incremental"
    where = (order.options.target_dir and f"to {target.told(b'')}") or "to the original places"
    text = (
        f"Restored {files}{kept} of the {kind} backup of {entry.date:%Y-%m-%d %H:%M:%S} UTC of host "
        f"{entry.host_name} (instance {entry.instance}, sequence {manifest.sequence}) {where}."
    )
    if chosen.gone:
        text += f" {chosen.gone:,} earlier backups of its chain are not on the storage any more."
    for warning in chosen.warnings:
        text += f" Warning: {warning}."
    if not order.options.target_dir and entry.host_name != order.host_name.lower():
        text += f" Warning: these are files of another host, {entry.host_name}, in this host's own places."
    return text


def told(causes: Causes) -> str:
    """Return the first causes with their counts and paths, and how many more there are."""
    rows = [f"{cause.rstrip('.')}: {counted.told()}" for cause, counted in causes.by_cause.items()]
    more = len(rows) - FIRST_TOLD
    return "; ".join(rows[:FIRST_TOLD]) + (f"; {more:,} more causes" if more > 0 else "")


def result_of(
    tally: Tally, wrong_volumes: dict[str, str], chosen: Chosen, order: RestoreOrder, target: Target
) -> JobResult:
    """Return the result of a restore that put everything in its place.

    ``wrong_volumes`` are objects that are not as the backup says.  Raises CorruptedBackupError where one
    of them was needed or anything was lost, TransferError where this host refused entries.
    """
    text = summary(tally, chosen, order, target)
    partial = bool(order.options.include)
    needed = {name: what for name, what in wrong_volumes.items() if not partial or name in tally.touched}
    if tally.lost or needed:
        raise _damaged(tally, needed, text)
    if tally.failed:
        raise _refused(tally, text)
    for name, what in wrong_volumes.items():
        tally.warnings.add(f"{name} {what}; this restore did not need it", None)
    warnings = [*chosen.warnings]
    warnings += [f"{cause}: {counted.told()}" for cause, counted in tally.warnings.by_cause.items()]
    if tally.warnings:
        text += f" {tally.warnings.total:,} warnings: {told(tally.warnings)}."
    return JobResult(
        description=text,
        backup_type=chosen.opened.manifest.backup_type,
        size_transferred=tally.transferred,
        files=tally.files,
        bytes_read=tally.bytes,
        bytes_stored=0,
        entries_changed=tally.changed,
        warnings=tuple(warnings),
        backup_date=chosen.opened.entry.date,
        chain=chosen.opened.entry.chain,
        high_water=chosen.raises,
    )


def _damaged(tally: Tally, wrong: dict[str, str], text: str) -> PapiError:
    objects = [f"{name} {what}" for name, what in wrong.items()]
    parts = []
    if objects:
        more = len(objects) - FIRST_TOLD
        listed = "; ".join(objects[:FIRST_TOLD]) + (f"; {more:,} more objects" if more > 0 else "")
        parts.append(f"The backup is damaged: {listed}.")
    if tally.lost:
        parts.append(f"{entries(tally.lost.total)} could not be restored: {told(tally.lost)}.")
    if tally.failed:
        parts.append(f"{entries(tally.failed.total)} more were refused by this host: {told(tally.failed)}.")
    first = next(iter(wrong), "") or next(iter(tally.lost.by_cause)).partition(" ")[0]
    return CorruptedBackupError(" ".join((*parts, text)), first)


def _refused(tally: Tally, text: str) -> PapiError:
    return TransferError(
        f"{entries(tally.failed.total)} could not be put in place: {told(tally.failed)}. {text}"
    )
