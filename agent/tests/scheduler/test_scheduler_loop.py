# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scheduler on a real state with an injected clock: what is queued, once, and what is not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from papi_backup.config import Settings
from papi_backup.jobs.supervisor import JobSupervisor
from papi_backup.model.schedule import BackupConfig, Schedule, SourceSet
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage
from papi_backup.scheduler.loop import Scheduler
from papi_backup.scheduler.schedule import minute_of
from papi_backup.state.store import Store

HOURLY = Schedule("hourly")
NOON = Schedule("daily", time_run=(12,))
START = datetime(2026, 6, 1, 10, 59, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Host:
    """A state, a clock that is set by hand, and a queue that nobody works on."""

    def __init__(self, store: Store, state: Path) -> None:
        self.now = START
        self.store = store
        self.settings = Settings(state, "host.example", sources={"default": SourceSet(("/srv",))})
        self.queue = JobSupervisor(store, self.settings)
        self.boot()

    def boot(self) -> None:
        self.scheduler = Scheduler(
            self.store, self.settings, self.queue.enqueue_backup, lambda: self.now, interval=0.01
        )

    def config(
        self, name: str = "etc", full: Schedule | None = None, inc: Schedule | None = None
    ) -> BackupConfig:
        storage = self.store.storages.list()[0].storage_id
        config = BackupConfig(name, storage, full=full or Schedule(), inc=inc or Schedule())
        return self.store.configs.add(config)

    def tick(self, passed: timedelta = timedelta()) -> list[str]:
        """Let time pass, look once, and return the types of the jobs that were queued by it, all done."""
        self.now += passed
        before = len(self.store.jobs.list())
        self.scheduler.tick()
        queued = self.store.jobs.list()[before:]
        for job in queued:
            self.store.jobs.fail(job.job_id, 4001, "over")
        return [job.backup_type for job in queued]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with Store.open(tmp_path / "state") as store:
        store.storages.add(S3Storage("bucket", "id", Secret("s"), "b", 32))
        yield Host(store, tmp_path / "state")


def test_a_backup_is_queued_once_each_time_it_is_due(host: Host) -> None:
    host.config(inc=HOURLY)
    host.tick()
    assert [host.tick(HOUR) for unused in range(3)] == [["inc"]] * 3
    assert host.tick(timedelta(seconds=10)) == []


def test_it_is_due_at_the_minute_of_this_host(host: Host) -> None:
    host.config(inc=HOURLY)
    host.now = START.replace(minute=0, hour=9) + timedelta(minutes=minute_of("host.example"))
    host.tick()
    assert host.tick(HOUR - timedelta(seconds=1)) == []
    assert host.tick(timedelta(seconds=1)) == ["inc"]


def test_a_new_configuration_owes_nothing_for_the_past(host: Host) -> None:
    host.tick()
    host.now += 30 * HOUR
    host.config(full=NOON, inc=HOURLY)
    assert host.tick() == []
    assert host.tick(HOUR) == ["inc"]


def test_a_run_between_the_making_of_a_configuration_and_the_next_look_is_not_lost(host: Host) -> None:
    host.now = START.replace(minute=minute_of("host.example")) - timedelta(milliseconds=5)
    host.tick()
    host.config(inc=HOURLY)
    assert host.tick(timedelta(milliseconds=10)) == []
    assert host.tick(timedelta(milliseconds=10)) == ["inc"]


def test_what_was_missed_while_the_host_was_off_is_caught_up_once(host: Host) -> None:
    host.config(inc=HOURLY)
    host.tick()
    host.now += 50 * HOUR
    host.boot()
    assert host.tick() == ["inc"]
    assert host.tick(timedelta(minutes=1)) == []


def test_the_full_wins_where_both_are_due_and_serves_the_incremental(host: Host) -> None:
    host.config(full=NOON, inc=HOURLY)
    host.tick()
    assert [host.tick(HOUR) for unused in range(3)] == [["inc"], ["full"], ["inc"]]


def test_after_downtime_a_missed_full_and_incremental_are_one_full(host: Host) -> None:
    host.config(full=NOON, inc=HOURLY)
    host.tick()
    assert host.tick(50 * HOUR) == ["full"]
    assert host.tick(timedelta(minutes=1)) == []


def test_deactivated_never_runs_and_reactivating_it_owes_nothing(host: Host) -> None:
    config = host.config(inc=HOURLY)
    host.tick()
    host.store.configs.update(replace(config, inc=Schedule()))
    assert host.tick(3 * HOUR) == []
    host.store.configs.update(config)
    assert host.tick() == []
    assert host.tick(HOUR) == ["inc"]


def test_a_changed_schedule_owes_nothing_for_the_past(host: Host) -> None:
    config = host.config(inc=NOON)
    host.tick()
    host.store.configs.update(replace(config, inc=Schedule("daily", time_run=(11,))))
    assert host.tick(timedelta(minutes=62)) == []
    assert host.tick(24 * HOUR) == ["inc"]


def test_a_crash_between_queueing_and_remembering_queues_nothing_twice(host: Host) -> None:
    config = host.config(inc=HOURLY)
    host.tick()
    last = host.store.schedule_state.last_run(config.backup_id, "inc")
    assert last is not None
    assert host.tick(HOUR) == ["inc"]
    host.store.schedule_state.set_last_run(config.backup_id, "inc", last)
    host.boot()
    assert host.tick() == []


def test_a_run_that_finds_its_like_waiting_queues_no_second(host: Host) -> None:
    config = host.config(inc=HOURLY)
    host.tick()
    host.queue.enqueue_backup(config, "full")
    assert host.tick(HOUR) == []
    assert host.tick(timedelta(minutes=1)) == []


def test_a_full_that_is_due_is_queued_although_an_incremental_waits(host: Host) -> None:
    config = host.config(full=HOURLY)
    host.tick()
    host.queue.enqueue_backup(config, "inc")
    assert host.tick(HOUR) == ["full"]


def test_a_clock_that_steps_back_repeats_nothing(host: Host) -> None:
    host.config(inc=HOURLY)
    host.tick()
    assert host.tick(HOUR) == ["inc"]
    assert host.tick(-HOUR) == []
    assert host.tick(HOUR) == []
    assert host.tick(HOUR) == ["inc"]


def test_a_clock_that_was_years_ahead_does_not_stop_backups_when_it_is_right_again(host: Host) -> None:
    host.config(inc=HOURLY)
    host.tick()
    assert host.tick(timedelta(days=20_000)) == ["inc"]  # serves what is due an hour from the start
    assert host.tick(timedelta(days=-20_000)) == []
    assert host.tick(HOUR) == []
    assert host.tick(HOUR) == ["inc"]


def test_one_schedule_that_cannot_be_served_does_not_keep_others_waiting(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    host.config("broken", inc=Schedule("hourly", time_list=(99,)))
    host.config("etc", inc=HOURLY)
    host.tick()
    assert host.tick(HOUR) == ["inc"]
    assert "the schedule of backup 'broken' cannot be served: [99] outside 0 to 23" in caplog.text


def test_the_next_run_of_all_is_told(host: Host) -> None:
    assert host.scheduler.upcoming() is None
    host.config("broken", inc=Schedule("hourly", time_list=(99,)))
    host.config("etc", full=NOON)
    host.config("home", inc=HOURLY)
    upcoming = host.scheduler.upcoming()
    assert upcoming is not None
    assert (upcoming.backup_name, upcoming.backup_type) == ("home", "inc")
    assert START < upcoming.run <= START + HOUR


def test_the_thread_looks_by_itself_beats_and_stops(host: Host) -> None:
    host.config(inc=HOURLY)
    host.scheduler.start()
    deadline = time.monotonic() + 10
    while not host.store.jobs.list():
        assert time.monotonic() < deadline
        host.now += timedelta(minutes=20)
        time.sleep(0.05)
    assert host.scheduler.heartbeat.alive
    host.scheduler.stop()
