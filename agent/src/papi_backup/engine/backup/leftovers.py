# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts volumes of backups that have no manifest: what killed jobs left.  Nothing of it is deleted here.

They look like the volumes of a job that another installation of the same name has under way.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from papi_backup.engine.catalog import Manifests
from papi_backup.engine.format.names import data_prefix
from papi_backup.engine.storage.protocol import Storage
from papi_backup.model.errors import PapiError
from papi_backup.model.job import BackupOrder

_MOST_CHAINS = 64
"""Chains up to which an incremental looks for others that have no manifest: over SFTP each costs a look."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Leftovers:
    """How many objects are left, and their bytes."""

    objects: int = 0
    bytes: int = 0

    def told(self) -> str:
        """Return a sentence for the job's description, empty when there is nothing to tell."""
        if not self.objects:
            return ""
        return f" Left over by killed jobs: {self.objects} objects, {self.bytes} bytes."


def count_leftovers(
    storage: Storage, order: BackupOrder, manifests: Manifests, listed: Mapping[str, int] | None
) -> Leftovers:
    """Count what lies under the order's name without a manifest; nothing where the storage does not tell.

    ``listed``: the sizes of the parent chain's volumes, by name, or None for a full.  A full lists all
    volumes of its name.  An incremental adds to its chain's list those of the chains that have no manifest at
    all: one request more, and one for each of those.
    """
    known = {(entry.chain, entry.backup) for entry in (*manifests.whole, *manifests.cut)}
    prefix = data_prefix(order.host_name, order.backup_name)
    try:
        if listed is None:
            return _without_manifest(_sizes(storage, prefix), prefix, known)
        chains = {chain for chain, _backup in known}
        volumes = list(listed.items())
        if len(chains) <= _MOST_CHAINS:
            for chain in storage.list_children(prefix):
                if chain not in chains:
                    volumes.extend(_sizes(storage, f"{prefix}{chain}/"))
        return _without_manifest(volumes, prefix, known)
    except PapiError as error:
        log.warning("what killed jobs left could not be counted: %s", error.message)
        return Leftovers()


def _sizes(storage: Storage, prefix: str) -> Iterable[tuple[str, int]]:
    return ((found.name, found.size) for found in storage.list(prefix))


def _without_manifest(
    volumes: Iterable[tuple[str, int]], prefix: str, known: set[tuple[str, str]]
) -> Leftovers:
    objects = size = 0
    for name, length in volumes:
        chain, _, rest = name.removeprefix(prefix).partition("/")
        if (chain, rest.partition("/")[0]) not in known:
            objects += 1
            size += length
    return Leftovers(objects, size)
