# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns a queued request into a worker's order, from the configuration as it is when the job starts."""

from __future__ import annotations

import secrets
from dataclasses import replace

from papi_backup.config import Settings
from papi_backup.jobs.orders import JobOrder
from papi_backup.model.errors import NoSuchEntityError
from papi_backup.model.job import BackupOrder, Job, RestoreOptions, RestoreOrder
from papi_backup.model.limits import UNLIMITED
from papi_backup.model.schedule import BackupConfig, BackupType
from papi_backup.model.storage import StorageAccess
from papi_backup.state.jobs import JobRequest
from papi_backup.state.store import Store
from papi_backup.state.unsettled import Unsettled

_ID_BYTES = 8


class OrderBuilder:
    """Looks up everything that an order needs."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    def build(self, job: Job, request: JobRequest) -> JobOrder:
        """Return the order of a job that starts now.

        Raises :class:`NoSuchEntityError` when its configuration, storage or SSH id is gone, and
        :class:`InvalidParameterError` when nothing says what to back up.
        """
        with self._store.undisturbed():
            if request.restore is not None:
                return self.restore(request.restore)
            return self.backup(job, request.backup_id)

    def backup(self, job: Job, backup_id: int) -> BackupOrder:
        """Return the order of a backup job; raises as :meth:`build` does."""
        try:
            config = self._store.configs.get(backup_id)
        except NoSuchEntityError:
            raise NoSuchEntityError(
                f"the backup configuration {job.backup_name!r} was deleted before this job started"
            ) from None
        return replace(self.of_config(config, job.backup_type), backup=secrets.token_hex(_ID_BYTES))

    def search(self, job: Job, unsettled: Unsettled) -> BackupOrder:
        """Return the order by which the backup that a job may have written is looked for.

        Raises :class:`NoSuchEntityError` when its configuration or storage is gone or is elsewhere now.
        """
        with self._store.undisturbed():
            config = self._store.configs.get(job.backup_id)
            access = self.access(unsettled.storage_id)
            if access.storage.location != unsettled.location:
                raise NoSuchEntityError(f"the storage is no longer at {unsettled.location}")
            order = self.of_config(config, job.backup_type)
            return replace(order, backup_name=job.backup_name, access=access, backup=unsettled.backup)

    def of_config(self, config: BackupConfig, backup_type: BackupType) -> BackupOrder:
        """Return the order of a backup of ``config`` as it is; raises as :meth:`build` does."""
        access = self.access(config.storage_id)
        return BackupOrder(
            host_name=self._settings.host_name,
            instance_id=self._store.instance_id,
            backup_name=config.backup_name,
            backup_type=backup_type,
            access=access,
            sources=self._settings.sources_for(config),
            encryption_key=config.encryption_key,
            state_dir=str(self._settings.state_dir),
            cache_dir=str(self._settings.state_dir / "cache"),
            known_chain_keys=self._store.chain_keys.all(),
            high_water=self._store.high_water.get(access.storage.location, config.backup_name),
            scrypt_cost=self._settings.scrypt_cost,
            helpers=self._settings.helpers,
            limits=self._settings.limits,
        )

    def restore(self, options: RestoreOptions) -> RestoreOrder:
        """Return the order of a restore; a blank host name means this host.  Raises as :meth:`build` does."""
        access = self.access(options.storage_id)
        return RestoreOrder(
            host_name=self._settings.host_name,
            access=access,
            options=replace(options, hostname=options.hostname or self._settings.host_name),
            own_paths=self._settings.own_paths,
            instance_id=self._store.instance_id,
            high_water=self._store.high_water.get(access.storage.location, options.backup_name),
            helpers=self._settings.helpers,
            limits=self._settings.limits,
        )

    def plan(self, options: RestoreOptions) -> RestoreOrder:
        """Return the order of a restore's plan, which no limit slows down (docs/limits.md)."""
        return replace(self.restore(options), limits=UNLIMITED)

    def access(self, storage_id: int) -> StorageAccess:
        """Return a storage with its SSH id; raises :class:`NoSuchEntityError`."""
        return self._store.access_to(self._store.storages.get(storage_id))
