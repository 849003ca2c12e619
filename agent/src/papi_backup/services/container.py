# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""All verbs, wired once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from papi_backup.config import Settings
from papi_backup.services.access import AccessService
from papi_backup.services.catalog import CatalogService
from papi_backup.services.configs import ConfigService
from papi_backup.services.jobs import JobService
from papi_backup.services.ports import JobQueue, StorageQueries
from papi_backup.services.ssh_ids import SshIdService
from papi_backup.services.storages import StorageService
from papi_backup.state.instants import utcnow
from papi_backup.state.store import Store


@dataclass(frozen=True, slots=True)
class Services:
    """The verbs of the product."""

    access: AccessService
    storages: StorageService
    ssh_ids: SshIdService
    configs: ConfigService
    jobs: JobService
    catalog: CatalogService

    @classmethod
    def create(
        cls,
        store: Store,
        settings: Settings,
        queue: JobQueue,
        queries: StorageQueries,
        clock: Callable[[], datetime] = utcnow,
    ) -> Services:
        """Wire the verbs over an open store, the job queue and the processes that ask storages."""
        storages = StorageService(store, queries)
        return cls(
            access=AccessService(store),
            storages=storages,
            ssh_ids=SshIdService(store, settings.host_name),
            configs=ConfigService(store, settings, storages, queries, clock),
            jobs=JobService(store, settings, queue, queries, clock),
            catalog=CatalogService(store, settings.host_name, queries, clock),
        )
