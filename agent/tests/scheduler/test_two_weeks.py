# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two weeks on an injected clock: scheduler, queue, worker processes and a storage over SSH, all real.

The host is in Rome, its minute is 37.  ``docs`` runs a full each Sunday at 2 and an incremental each day at
2 and 14; ``logs`` a full each 1st at 3 and an incremental at 3 on every third day, which 1 April is too.
On Sunday 29 March the clock goes from 02:00 to 03:00.  The host is off twice, once over a Sunday's full, and
sleeps once.  ``make torture`` restores every date, ``make test`` a sample of them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from checks.sampling import Sample

from papi_backup.config import Settings
from papi_backup.engine.catalog import list_backups
from papi_backup.engine.storage.opener import opener_for
from papi_backup.jobs.supervisor import JobSupervisor
from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.job import FoundBackup, Job, RestoreOptions
from papi_backup.model.schedule import BackupConfig, Schedule
from papi_backup.model.secret import Secret
from papi_backup.model.storage import StorageAccess
from papi_backup.scheduler.loop import Scheduler
from papi_backup.state.store import Store

WORKER = (sys.executable, str(Path(__file__).with_name("clocked_worker.py")))
HOST = "host.example"
KEY = Secret("a key of the backup")
STEP = timedelta(minutes=5)
SECONDS = 60.0
RESTORED = 5
"""Dates that ``make test`` restores."""

DOCS = """
03-22 14:37 full   its incremental finds no full
03-23 02:37 inc
03-23 14:37 inc
03-24 02:37 inc
03-24 14:37 inc
03-25 02:37 inc
03-27 09:02 inc    off from the 25th at 10: four runs, caught up once
03-27 14:37 inc
03-28 02:37 inc
03-28 14:37 inc
03-29 03:02 full   Sunday; 02:37 does not exist, so it is due at 03:00 and seen two minutes later
03-29 14:37 inc
03-30 02:37 inc
03-30 14:37 inc
03-31 08:02 inc    asleep at 02:37
03-31 14:37 inc
04-01 02:37 inc
04-01 14:37 inc
04-02 02:37 inc
04-02 14:37 inc
04-03 02:37 inc
04-03 14:37 inc
04-04 02:37 inc
04-04 14:37 inc
04-05 10:02 full   off at Sunday's 02:37, where both fell
"""
LOGS = """
03-23 03:37 full   its incremental finds no full; 23 March is day number 20535
03-27 09:02 inc    off on the 26th
03-29 03:37 inc    03:37 exists
04-01 03:37 full   the 1st, in place of the incremental
04-04 03:37 inc
"""


class Host:
    """An agent's state, scheduler and queue on a clock that only :meth:`run_until` moves."""

    def __init__(self, directory: Path, access: StorageAccess, start: str) -> None:
        self.source = directory / "source"
        self.source.mkdir()
        (self.source / "kept").write_bytes(bytes(range(256)) * 64)
        self.settings = Settings(directory / "state", HOST, timezone="Europe/Rome", helpers=1)
        self.access = access
        self.now = self.at(start)
        self.boot()
        storage = access.storage
        assert access.ssh_id is not None
        self.store.ssh_ids.add(access.ssh_id)
        self.storage_id = self.store.storages.add(storage).storage_id

    def at(self, text: str) -> datetime:
        local = datetime.fromisoformat(f"2026-{text}").replace(tzinfo=self.settings.zone)
        return local.astimezone(UTC)

    def clock(self) -> datetime:
        return self.now

    def boot(self) -> None:
        self.store = Store.open(self.settings.state_dir, clock=self.clock)
        self.queue = JobSupervisor(
            self.store,
            self.settings,
            lambda _order: FoundBackup(None),
            worker_command=WORKER,
            clock=self.clock,
        )
        self.scheduler = Scheduler(self.store, self.settings, self.queue.enqueue_backup, self.clock)
        self.queue.start()

    def shut_down(self) -> None:
        self.queue.stop(timeout=SECONDS)
        self.store.close()

    def add(self, name: str, full: Schedule, inc: Schedule) -> None:
        paths = (str(self.source),)
        self.store.configs.add(BackupConfig(name, self.storage_id, KEY, full, inc, paths))

    def run_until(self, text: str) -> None:
        """Let time pass in steps; at each the source changes, and the scheduler looks."""
        end = self.at(text)
        while self.now < end:
            self.now += STEP
            self.look()

    def passes_without_it(self, text: str) -> None:
        """Let time pass while the host is off or asleep."""
        self.now = self.at(text)

    def look(self) -> None:
        self.store_clock()
        (self.source / "changing").write_text(self.now.isoformat())
        self.scheduler.tick()
        self.work()

    def store_clock(self) -> None:
        (self.settings.state_dir / "clock").write_text(self.now.isoformat())

    def work(self) -> None:
        """Wait until the queue is empty."""
        deadline = time.monotonic() + SECONDS
        while any(job.end_date is None for job in self.store.jobs.list()):
            assert time.monotonic() < deadline, "a job takes too long"
            time.sleep(0.02)

    def backups(self, name: str) -> list[CatalogEntry]:
        storage = opener_for(self.access)()
        try:
            return list_backups(storage, HOST, name)
        finally:
            storage.close()

    def restored(self, name: str, date: datetime, target: Path) -> str:
        """Restore the backup of ``date`` with a real worker and return what the changing file held."""
        target.mkdir()
        options = RestoreOptions(self.storage_id, name, date, HOST, KEY, str(target))
        job = self.queue.enqueue_restore(options)
        self.work()
        assert self.store.jobs.get(job.job_id).job_status == "success"
        restored = Path(f"{target}{self.source}")
        assert (restored / "kept").read_bytes() == (self.source / "kept").read_bytes()
        return (restored / "changing").read_text()


@pytest.fixture
def host(tmp_path: Path, ssh_access: StorageAccess) -> Iterator[Host]:
    host = Host(tmp_path, ssh_access, "03-22 12:02")
    yield host
    host.shut_down()


def expected(text: str) -> list[str]:
    return [" ".join(line.split()[:3]) for line in text.strip().splitlines()]


def told(host: Host, entries: list[CatalogEntry]) -> list[str]:
    zone = host.settings.zone
    return [f"{entry.date.astimezone(zone):%m-%d %H:%M} {entry.backup_type}" for entry in entries]


@pytest.mark.slow
def test_two_weeks_of_schedule_make_the_backups_they_should(
    host: Host, tmp_path: Path, sample: Sample
) -> None:
    host.add("docs", Schedule("weekly", time_list=(0,), time_run=(2,)), Schedule("daily", time_run=(2, 14)))
    host.add("logs", Schedule("monthly", time_list=(1,), time_run=(3,)), Schedule("daily", 3, time_run=(3,)))
    host.run_until("03-25 10:02")
    host.shut_down()
    host.passes_without_it("03-27 08:57")
    host.boot()
    host.run_until("03-30 22:02")
    host.passes_without_it("03-31 07:57")
    host.run_until("04-04 20:02")
    host.shut_down()
    host.passes_without_it("04-05 09:57")
    host.boot()
    host.run_until("04-05 12:02")

    docs, logs = host.backups("docs"), host.backups("logs")
    assert told(host, docs) == expected(DOCS)
    assert told(host, logs) == expected(LOGS)

    jobs = host.store.jobs.list()
    assert all(job.job_status == "success" and job.warnings == 0 for job in jobs), jobs
    assert len(jobs) == len(docs) + len(logs)
    assert became_full(jobs, "docs") == [0]
    assert became_full(jobs, "logs") == [0]

    for number, backup in enumerate(sample.of(docs, RESTORED)):
        content = host.restored("docs", backup.date, tmp_path / f"docs{number}")
        assert datetime.fromisoformat(content) == backup.date


def became_full(jobs: list[Job], name: str) -> list[int]:
    """Return which of a configuration's jobs say that they were to be incremental and became full."""
    of_name = [job for job in jobs if job.backup_name == name]
    return [number for number, job in enumerate(of_name) if "Full because" in job.description]
