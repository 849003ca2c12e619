# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup job reports, told by its manifest: also long after the job, when its own words were lost."""

from __future__ import annotations

from datetime import UTC, datetime

from papi_backup.engine.authentic import Trial
from papi_backup.engine.backup.parent import known_keys
from papi_backup.engine.catalog import list_manifests
from papi_backup.engine.crypto import ChainKeys, cached_chain_key
from papi_backup.engine.format.manifest import Manifest
from papi_backup.engine.keyring import KeyRing
from papi_backup.engine.opened import OpenedBackup
from papi_backup.engine.storage.protocol import Storage
from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.job import BackupOrder, FoundBackup, JobResult
from papi_backup.model.secret import Secret


def result_of(
    manifest: Manifest,
    entry: CatalogEntry,
    keys: ChainKeys,
    encryption_key: Secret,
    *,
    told: str = "",
    warnings: tuple[str, ...] = (),
) -> JobResult:
    """Return the result of the job that wrote ``manifest``; ``told`` is added to its description."""
    totals = manifest.totals
    stored = totals.bytes_stored + entry.manifest_size
    kind = "Full" if manifest.backup_type == "full" else "Incremental"
    return JobResult(
        description=f"{kind} backup of {totals.files} files, {totals.bytes} bytes; "
        f"read {totals.bytes_read}, stored {stored} bytes.{told}",
        backup_type=manifest.backup_type,
        size_transferred=stored,
        files=totals.files,
        bytes_read=totals.bytes_read,
        bytes_stored=stored,
        warnings=warnings,
        warning_count=totals.warnings,
        backup_date=datetime.strptime(manifest.date, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC),
        chain=manifest.chain,
        chain_key=cached_chain_key(keys.chain_key, encryption_key) if keys.encrypted else None,
        high_water=entry.path,
    )


def find_backup(storage: Storage, order: BackupOrder) -> FoundBackup:
    """Look for the backup that a job with this order may have written before its outcome was lost.

    Only a manifest that opens decides, however many others have its id: what lay there before them is tried
    first.  Raises :class:`PapiError` where the storage cannot be asked, or where a manifest has the id and
    none opens with the order's key.
    """
    manifests = list_manifests(storage, order.host_name, order.backup_name)
    named = [
        entry
        for entry in manifests.whole
        if entry.backup == order.backup and entry.instance == order.instance_id
    ]
    ring = KeyRing(order.encryption_key, known_keys(order))
    tried = Trial(storage, ring, manifests).best_of(named)
    if tried.opened is not None:
        return FoundBackup(_found(tried.opened, order.encryption_key))
    if tried.failed:
        raise tried.failed[0].error
    return FoundBackup(None)


def _found(opened: OpenedBackup, encryption_key: Secret) -> JobResult:
    warnings = opened.manifest.totals.warnings
    lost = f" Its {warnings} warnings were lost." if warnings else ""
    told = f" The job's own words were lost; its manifest tells that it was done.{lost}"
    return result_of(opened.manifest, opened.entry, opened.keys, encryption_key, told=told)
