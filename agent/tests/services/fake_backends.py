# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real store with a job queue that only queues, and storages that answer what a test tells them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from papi_backup.config import ApiSettings, Settings
from papi_backup.engine.backup.sources import check_sources
from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.check import CheckedStep, StorageCheck
from papi_backup.model.errors import PapiError
from papi_backup.model.job import (
    BackupOrder,
    Job,
    JobType,
    Progress,
    RestoreOptions,
    RestoreOrder,
    RestorePlanSummary,
)
from papi_backup.model.schedule import BackupConfig, BackupType, Schedule, SourceSet
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage, SshId, SshStorage, StorageAccess
from papi_backup.services.container import Services
from papi_backup.state.jobs import JobRequest
from papi_backup.state.passwords import ScryptCost
from papi_backup.state.store import Store

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOST = "host.example"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8Yc0XH1Fw1fqmbbJk9pQzCsSQXyKGQmFXBlSg1xn5c"
CHEAP = ScryptCost(n=16, p=1)


@dataclass
class FakeQueue:
    """Writes jobs down like the supervisor and runs none."""

    store: Store
    restores: list[RestoreOptions] = field(default_factory=list)
    running: dict[int, Progress] = field(default_factory=dict)

    def enqueue_backup(self, config: BackupConfig, backup_type: BackupType, request_id: str = "") -> Job:
        request = JobRequest(backup_id=config.backup_id)
        return self._add(config.backup_name, backup_type, "backup", request_id, request)

    def enqueue_restore(self, options: RestoreOptions, request_id: str = "") -> Job:
        self.restores.append(options)
        return self._add(options.backup_name, "full", "restore", request_id, JobRequest(restore=options))

    def cancel(self, job_id: int, by: str) -> Job:
        return self.store.jobs.cancel(job_id, 3015, f"[3015] cancelled by {by}")

    def progress(self, job_id: int) -> Progress | None:
        return self.running.get(job_id)

    def _add(
        self, name: str, backup_type: BackupType, job_type: JobType, request_id: str, request: JobRequest
    ) -> Job:
        job = Job(0, job_type, "waiting", name, backup_type, NOW, request_id=request_id)
        return self.store.jobs.add(job, request)


@dataclass
class FakeQueries:
    """Storages that hold ``backups``, or fail by name."""

    backups: dict[str, list[CatalogEntry]] = field(default_factory=dict)
    failures: dict[str, PapiError] = field(default_factory=dict)
    host_key: str = HOST_KEY
    asked: list[StorageAccess] = field(default_factory=list)
    planned: list[RestoreOrder] = field(default_factory=list)
    rooms: list[int] = field(default_factory=list)
    since: list[float | None] = field(default_factory=list)
    during_check: Callable[[], object] = lambda: None

    def list_backups(self, access: StorageAccess, host_name: str) -> list[CatalogEntry]:
        return [entry for entry in self._of(access) if entry.host_name == host_name]

    def list_host_names(self, access: StorageAccess) -> list[str]:
        return sorted({entry.host_name for entry in self._of(access)})

    def check_storage(self, access: StorageAccess, since: float | None = None) -> StorageCheck:
        self._of(access)
        self.since.append(since)
        self.during_check()
        steps = (CheckedStep("reach", 0.0123), CheckedStep("clock", 0.001, "the clocks agree"))
        return StorageCheck(steps, self.host_key if access.ssh_id else "")

    def check_backup(self, order: BackupOrder, room: int, since: float | None = None) -> StorageCheck:
        check_sources(order.backup_name, order.sources.paths)
        self.rooms.append(room)
        return self.check_storage(order.access, since)

    def plan_restore(self, order: RestoreOrder) -> RestorePlanSummary:
        self._of(order.access)
        self.planned.append(order)
        return RestorePlanSummary(
            "p", NOW, "full", "i" * 16, 1, 3, 4096, 1, 1, 1, 1, ("/etc/passwd",), ("w",)
        )

    def _of(self, access: StorageAccess) -> list[CatalogEntry]:
        self.asked.append(access)
        name = access.storage.storage_name
        if name in self.failures:
            raise self.failures[name]
        return self.backups.get(name, [])


@dataclass
class World:
    """Two SSH ids, three storages, one configuration, two accounts."""

    store: Store
    settings: Settings
    queue: FakeQueue
    queries: FakeQueries
    services: Services

    def contents(self) -> tuple[object, ...]:
        """All that a call could change."""
        store = self.store
        return (store.ssh_ids.list(), store.storages.list(), store.configs.list(), store.jobs.list())

    def add_job(self) -> Job:
        """Queue the first job."""
        return self.queue.enqueue_backup(self.store.configs.by_name("system"), "full")


def create_world(directory: Path, api: ApiSettings | None = None) -> World:
    """Make a state directory with something of everything.

    Storage 1 ``vault`` (SSH id 1, used by configuration 1 ``system``), 2 ``bucket`` and 3 ``spare`` (both
    unused); SSH id 2 ``unused``; the accounts ``admin`` and ``viewer``, both with the password ``secret``.
    """
    sources = directory / "sources"
    sources.mkdir()
    settings = Settings(
        directory / "state",
        HOST,
        api=api or ApiSettings(),
        sources={"default": SourceSet((str(sources),))},
        timezone="Europe/Rome",
    )
    store = Store.open(settings.state_dir, clock=lambda: NOW, password_cost=CHEAP)
    for name in ("key", "unused"):
        store.ssh_ids.add(SshId(0, name, 256, f"ssh-ed25519 AAAA{name} root@host", Secret("private-key")))
    vault = SshStorage("vault", "vault.example", 22, "backup", 1, "/srv/backup")
    store.storages.add(vault)
    store.storages.add(S3Storage("bucket", "AKID", Secret("s3-secret"), "backups", 32))
    store.storages.add(replace(vault, storage_name="spare", storage_base="/srv/spare"))
    daily = Schedule("daily", time_run=(2,))
    yearly = Schedule("yearly", 2, (1, 7), (1, 15), (3,))
    store.configs.add(BackupConfig("system", 1, Secret("the-key"), full=yearly, inc=daily))
    store.accounts.add("admin", "administrator", Secret("secret"))
    store.accounts.add("viewer", "viewer", Secret("secret"))
    queue, queries = FakeQueue(store), FakeQueries()
    services = Services.create(store, settings, queue, queries, clock=lambda: NOW)
    return World(store, settings, queue, queries, services)


def backup_of(
    date: datetime, name: str = "system", host: str = HOST, backup_type: BackupType = "full", number: int = 1
) -> CatalogEntry:
    """A backup as a storage lists it."""
    file = f"{date:%Y%m%dT%H%M%SZ}-{backup_type}-enc-{'c' * 16}-{number:016x}-{'e' * 16}-999.v1"
    return CatalogEntry(
        host,
        name,
        date,
        backup_type,
        True,
        "c" * 16,
        f"{number:016x}",
        "e" * 16,
        999,
        f"{host}/{name}/{file}",
    )
