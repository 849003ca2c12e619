# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store and a supervisor whose workers are real processes with a scripted engine, in the words of tests."""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from papi_backup.config import Settings
from papi_backup.jobs.running import TERMINATION_GRACE
from papi_backup.jobs.supervisor import JobSupervisor
from papi_backup.model.errors import PapiError
from papi_backup.model.job import BackupOrder, FoundBackup, Job, JobResult
from papi_backup.model.schedule import BackupConfig
from papi_backup.model.secret import Secret
from papi_backup.state.store import Store

WORKER = (sys.executable, str(Path(__file__).with_name("scripted_worker.py")))
SECONDS = 60.0


def eventually(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {SECONDS} s: {what}"
        time.sleep(0.01)


@dataclass
class Storages:
    """Answers whether a lost job's backup is there: by id what it holds, or the error of being asked."""

    holds: dict[str, JobResult] = field(default_factory=dict)
    error: PapiError | None = None
    asked: list[BackupOrder] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def __call__(self, order: BackupOrder) -> FoundBackup:
        self.asked.append(order)
        self.gate.wait(SECONDS)
        if self.error is not None:
            raise self.error
        return FoundBackup(self.holds.get(order.backup))


@dataclass
class Agent:
    """A store and a supervisor, with the words tests use."""

    store: Store
    settings: Settings
    storage: Storages = field(default_factory=Storages)
    supervisors: list[JobSupervisor] = field(default_factory=list)

    @property
    def supervisor(self) -> JobSupervisor:
        return self.supervisors[-1]

    def start(
        self, parallel: int = 1, termination_grace: float = TERMINATION_GRACE, *, drained: bool = False
    ) -> JobSupervisor:
        settings = replace(self.settings, max_parallel_jobs=parallel)
        self.supervisors.append(
            JobSupervisor(
                self.store,
                settings,
                self.storage,
                worker_command=WORKER,
                termination_grace=termination_grace,
            )
        )
        if drained:
            self.supervisor.drain()
        self.supervisor.start()
        return self.supervisor

    def config(self, name: str, key: str = "") -> BackupConfig:
        storage = self.store.storages.list()[0]
        config = BackupConfig(name, storage.storage_id, encryption_key=Secret(key), paths=("/etc",))
        return self.store.configs.add(config)

    def job(self, job: Job) -> Job:
        return self.store.jobs.get(job.job_id)

    def ended(self, job: Job) -> Job:
        eventually(lambda: self.job(job).end_date, f"the end of {job.backup_name}")
        return self.job(job)

    def running(self, job: Job) -> None:
        eventually(lambda: self.supervisor.progress(job.job_id), f"{job.backup_name} runs")

    def break_state(self) -> None:
        """Take the table of jobs away, so that nothing can be written down."""
        with sqlite3.connect(self.settings.state_dir / "state.db") as other:
            other.execute("ALTER TABLE jobs RENAME TO mislaid_jobs")

    def mend_state(self) -> None:
        with sqlite3.connect(self.settings.state_dir / "state.db") as other:
            other.execute("ALTER TABLE mislaid_jobs RENAME TO jobs")
