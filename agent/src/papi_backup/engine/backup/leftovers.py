# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts volumes of backups that have no manifest: what killed jobs left.  Nothing of it is deleted here.

They look like the volumes of a job that another installation of the same name has under way.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from papi_backup.engine.catalog import Manifests
from papi_backup.engine.format.names import data_prefix
from papi_backup.engine.storage.protocol import Storage
from papi_backup.engine.storage.unfinished import unfinished_of
from papi_backup.model.errors import PapiError
from papi_backup.model.job import BackupOrder

_ABANDONED = timedelta(days=1)
"""An object that is on its way for so long is nobody's: of a job that runs now it would be younger."""

_MOST_CHAINS = 64
"""Chains up to which an incremental looks for others that have no manifest: over SFTP each costs a look."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Objects left of the name, and their bytes; and those that nobody has finished, of any name."""

    objects: int = 0
    bytes: int = 0
    unfinished: int = 0
    unfinished_bytes: int = 0

    def told(self) -> str:
        """Return a sentence for the job's description, empty when there is nothing to tell."""
        told = ""
        if self.objects:
            told += f" Left over by killed jobs: {self.objects} objects, {self.bytes} bytes."
        if self.unfinished:
            told += (
                " Unfinished for more than a day on this storage, of whichever job:"
                f" {self.unfinished} objects, {self.unfinished_bytes} bytes."
            )
        return told


def count_leftovers(
    storage: Storage,
    order: BackupOrder,
    manifests: Manifests,
    listed: Mapping[str, int] | None,
    now: datetime,
) -> Leftovers:
    """Count what lies under the order's name without a manifest; nothing where the storage does not tell.

    ``listed``: the sizes of the parent chain's volumes, by name, or None for a full.  A full lists all
    volumes of its name.  An incremental adds to its chain's list those of the chains that have no manifest at
    all: one request more, and one for each of those.
    """
    try:
        objects, size = _without_manifest_of(storage, order, manifests, listed)
        before = (now - _ABANDONED).timestamp()
        old = [found.size for found in unfinished_of(storage) if found.modified < before]
    except PapiError as error:
        log.warning("what killed jobs left could not be counted: %s", error.message)
        return Leftovers()
    return Leftovers(objects, size, len(old), sum(old))


def _without_manifest_of(
    storage: Storage, order: BackupOrder, manifests: Manifests, listed: Mapping[str, int] | None
) -> tuple[int, int]:
    known = {(entry.chain, entry.backup) for entry in (*manifests.whole, *manifests.cut)}
    prefix = data_prefix(order.host_name, order.backup_name)
    if listed is None:
        return _without_manifest(_sizes(storage, prefix), prefix, known)
    chains = {chain for chain, _backup in known}
    volumes = list(listed.items())
    if len(chains) <= _MOST_CHAINS:
        for chain in storage.list_children(prefix):
            if chain not in chains:
                volumes.extend(_sizes(storage, f"{prefix}{chain}/"))
    return _without_manifest(volumes, prefix, known)


def _sizes(storage: Storage, prefix: str) -> Iterable[tuple[str, int]]:
    return ((found.name, found.size) for found in storage.list(prefix))


def _without_manifest(
    volumes: Iterable[tuple[str, int]], prefix: str, known: set[tuple[str, str]]
) -> tuple[int, int]:
    objects = size = 0
    for name, length in volumes:
        chain, _slash, rest = name.removeprefix(prefix).partition("/")
        if (chain, rest.partition("/")[0]) not in known:
            objects += 1
            size += length
    return objects, size
