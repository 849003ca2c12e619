# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backup configurations: add, update, delete, get, list, test (docs/api.md)."""

from __future__ import annotations

import builtins
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from papi_backup.config import Settings
from papi_backup.jobs.order_builder import OrderBuilder
from papi_backup.model.check import StorageCheck
from papi_backup.model.errors import InvalidParameterError
from papi_backup.model.job import Job
from papi_backup.model.keys import is_blank, remark_on
from papi_backup.model.schedule import BackupConfig, BackupType, Schedule
from papi_backup.model.secret import NO_SECRET, Secret
from papi_backup.scheduler.schedule import minute_of
from papi_backup.scheduler.upcoming import NextRuns, next_of_each
from papi_backup.services.change import Change
from papi_backup.services.lookups import refuse_taken
from papi_backup.services.ports import StorageQueries
from papi_backup.services.schedules import checked_schedule
from papi_backup.services.storages import StorageService
from papi_backup.state.instants import utcnow
from papi_backup.state.store import Store

log = logging.getLogger(__name__)

NEXT_RUNS = 3
"""How many next runs of each schedule are told."""

BACKUP_TYPES: tuple[BackupType, ...] = ("full", "inc")


@dataclass(frozen=True, slots=True)
class ConfigEntry:
    """A configuration with the name of its storage."""

    config: BackupConfig
    storage_name: str


@dataclass(frozen=True, slots=True)
class ConfigStatus:
    """A configuration with its last jobs and its next runs."""

    entry: ConfigEntry
    full: Job | None
    inc: Job | None
    next_runs: NextRuns


@dataclass(frozen=True, slots=True)
class ConfigFields:
    """What add and update say.  None: as it is; an empty ``encryption_key`` turns encryption off."""

    backup_name: str
    storage_id: int
    full: Schedule
    inc: Schedule
    encryption_key: Secret | None = None
    paths: tuple[str, ...] | None = None
    excludes: tuple[str, ...] | None = None


class ConfigService:
    """The verbs on configurations.  Unknown ids and names raise :class:`NoSuchEntityError` everywhere."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        storages: StorageService,
        queries: StorageQueries,
        clock: Callable[[], datetime] = utcnow,
    ) -> None:
        self._store = store
        self._settings = settings
        self._storages = storages
        self._queries = queries
        self._clock = clock

    def list(self) -> builtins.list[ConfigStatus]:
        """Return all configurations in creation order, with their last jobs and next runs."""
        jobs = self._store.jobs
        with self._store.undisturbed():
            entries = [self._entry(config) for config in self._store.configs.list()]
            names = [entry.config.backup_name for entry in entries]
            last = [(jobs.last(name, "full"), jobs.last(name, "inc")) for name in names]
        return [
            ConfigStatus(entry, full, inc, self.next_runs(entry.config))
            for entry, (full, inc) in zip(entries, last, strict=True)
        ]

    def get(self, backup_name: str) -> ConfigEntry:
        """Return one."""
        with self._store.undisturbed():
            return self._entry(self._store.configs.by_name(backup_name))

    def next_runs(self, config: BackupConfig) -> NextRuns:
        """Return when the configuration will run next (docs/schedules.md)."""
        zone, minute = self._settings.zone, minute_of(self._settings.host_name)
        # A state with numbers out of bounds: such a schedule never runs, and the scheduler says so.
        with suppress(ValueError):
            return next_of_each(config.full, config.inc, self._clock(), zone, count=NEXT_RUNS, minute=minute)
        return NextRuns()

    def add(self, fields: ConfigFields, *, apply: bool) -> Change[ConfigEntry]:
        """Add a configuration; a taken name or a bad schedule is :class:`InvalidParameterError`."""
        with self._store.transaction():
            self._refuse_taken(fields.backup_name)
            config = _config(fields, None)
            entry = self._entry(config)
            if apply:
                entry = ConfigEntry(self._store.configs.add(config), entry.storage_name)
                self._begin_schedules(None, entry.config)
                _warn_of_key(entry.config)
        return Change(True, None, entry)

    def update(self, backup_id: int, fields: ConfigFields, *, apply: bool) -> Change[ConfigEntry]:
        """Replace what the fields say; raises as :meth:`add` does."""
        with self._store.transaction():
            before = self._store.configs.get(backup_id)
            if fields.backup_name != before.backup_name:
                self._refuse_taken(fields.backup_name)
            after = _config(fields, before)
            change = Change(after != before, self._entry(before), self._entry(after))
            if apply and change.changed:
                self._store.configs.update(after)
                self._store.jobs.rename_waiting(backup_id, after.backup_name)
                self._begin_schedules(before, after)
                _warn_of_key(after)
        return change

    def delete(self, backup_id: int, *, apply: bool) -> Change[ConfigEntry]:
        """Forget a configuration; its backups and its history stay."""
        with self._store.transaction():
            entry = self._entry(self._store.configs.get(backup_id))
            if apply:
                self._store.configs.delete(backup_id)
        return Change(True, entry, None)

    def test(self, backup_id: int, *, pin: bool, since: float | None = None) -> StorageCheck:
        """Check what the next backup needs: sources, storage, room for it, and the key of its chain.

        Raises :class:`InvalidParameterError` for sources, else what the storage or the key raises.
        ``since``: when its deadline began to run by :func:`time.monotonic`, by default now.
        """
        with self._store.undisturbed():
            config = self._store.configs.get(backup_id)
            order = OrderBuilder(self._store, self._settings).of_config(config, "inc")
        checked = self._queries.check_backup(order, self._room_for(config), since)
        if pin:
            self._storages.pin(order.access.storage, checked.host_key)
        return checked

    def _room_for(self, config: BackupConfig) -> int:
        """Return how many bytes the next backup is expected to store: as many as the last of its types."""
        schedules = zip(BACKUP_TYPES, (config.full, config.inc), strict=True)
        scheduled = [kind for kind, schedule in schedules if schedule.period != "deactivated"]
        last = [self._store.jobs.last_success(config.backup_name, kind) for kind in scheduled or BACKUP_TYPES]
        return max((job.bytes_stored for job in last if job), default=0)

    def _begin_schedules(self, before: BackupConfig | None, after: BackupConfig) -> None:
        """Have new and changed schedules count from now: they owe nothing for the past (docs/schedules.md).

        The scheduler notices a change by itself, but not one that it did not live to look at.
        """
        now, state = self._clock(), self._store.schedule_state
        if before is None or before.full != after.full:
            state.set_last_run(after.backup_id, "full", now)
        if before is None or before.inc != after.inc:
            state.set_last_run(after.backup_id, "inc", now)

    def _refuse_taken(self, backup_name: str) -> None:
        refuse_taken(self._store.configs.by_name, backup_name, "a backup configuration", "backup_name")

    def _entry(self, config: BackupConfig) -> ConfigEntry:
        return ConfigEntry(config, self._store.storages.get(config.storage_id).storage_name)


def _warn_of_key(config: BackupConfig) -> None:
    remark = remark_on(config.encryption_key)
    if remark:
        log.warning("backup configuration %r: %s", config.backup_name, remark)


def _config(fields: ConfigFields, before: BackupConfig | None) -> BackupConfig:
    key, paths, excludes = fields.encryption_key, fields.paths, fields.excludes
    kept = before.encryption_key if before else NO_SECRET
    key = kept if key is None else key
    if is_blank(key) and key != kept:
        raise InvalidParameterError(
            "Invalid value of 'encryption_key': it has nothing but blanks, as from an empty file or"
            " template; an empty one means no encryption.",
            "encryption_key",
        )
    if paths is None:
        paths = before.paths if before else ()
    if excludes is None:
        excludes = before.excludes if before else ()
    return BackupConfig(
        backup_name=fields.backup_name,
        storage_id=fields.storage_id,
        encryption_key=key,
        full=checked_schedule("full", fields.full),
        inc=checked_schedule("inc", fields.inc),
        paths=paths,
        excludes=excludes,
        backup_id=before.backup_id if before else 0,
    )
