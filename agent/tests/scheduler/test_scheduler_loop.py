# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scheduler on a real state with an injected clock: what is queued, once, and what is not."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from papi_backup.config import Settings
from papi_backup.jobs.supervisor import JobSupervisor
from papi_backup.model.job import FoundBackup
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


def eventually(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, f"not within 10 s: {what}"
        time.sleep(0.01)


class Host:
    """A state, a clock that is set by hand, and a queue that nobody works on."""

    def __init__(self, store: Store, state: Path) -> None:
        self.now = START
        self.store = store
        self.settings = Settings(state, "host.example", sources={"default": SourceSet(("/srv",))})
        self.queue = JobSupervisor(store, self.settings, lambda _order: FoundBackup(None))
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

    def looked(self) -> bool:
        """Whether the scheduler has noticed all schedules there are."""
        return all(
            self.store.schedule_state.last_run(config.backup_id, "inc")
            for config in self.store.configs.list()
        )

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


def test_after_downtime_the_full_runs_although_incrementals_were_due_after_it(host: Host) -> None:
    host.config(full=Schedule("weekly", time_list=(2,), time_run=(1,)), inc=HOURLY)
    host.tick()  # Monday
    assert host.tick(5 * 24 * HOUR) == ["full"]
    assert host.tick(HOUR) == ["inc"]


def test_what_several_configurations_missed_is_caught_up_once_each(host: Host) -> None:
    host.config("etc", inc=HOURLY)
    host.config("home", full=NOON, inc=NOON)
    host.tick()
    host.now += 30 * 24 * HOUR
    host.boot()
    assert sorted(host.tick()) == ["full", "inc"]
    assert host.tick(timedelta(minutes=1)) == []


def test_one_run_that_was_missed_by_less_than_its_period_is_caught_up_and_the_next_is_in_time(
    host: Host,
) -> None:
    host.config(inc=NOON)
    host.tick()
    host.now += 6 * HOUR
    host.boot()
    assert host.tick() == ["inc"]
    assert host.tick(18 * HOUR) == []  # 10:59 + 24 h is before 12:37
    assert host.tick(2 * HOUR) == ["inc"]


def test_downtime_without_a_run_owes_nothing(host: Host) -> None:
    host.config(inc=NOON)
    host.tick()
    host.now += HOUR
    host.boot()
    assert host.tick() == []


def test_after_a_sleep_that_its_own_timers_did_not_notice_one_run_is_caught_up(host: Host) -> None:
    """Asleep, the wall clock goes on and monotonic time stands still: the loop's next look comes as ever."""
    host.config(inc=HOURLY)
    host.scheduler.start()
    eventually(lambda: host.scheduler.heartbeat.age < 1.0 and host.looked(), "the first look")
    host.now += 9 * HOUR
    eventually(host.store.jobs.list, "the job")
    host.store.jobs.fail(1, 4001, "over")
    time.sleep(0.3)  # thirty looks
    host.scheduler.stop()
    assert len(host.store.jobs.list()) == 1
    assert host.scheduler.heartbeat.alive
    assert host.tick(HOUR) == ["inc"]


def test_a_sleep_over_the_hour_that_comes_twice_owes_one_run_and_then_none_for_the_second_time(
    host: Host,
) -> None:
    host.settings = replace(host.settings, timezone="Europe/Rome")
    host.now = datetime(2026, 10, 24, 23, 50, tzinfo=UTC)
    host.boot()
    host.config(inc=Schedule("daily", time_run=(2,)))
    host.tick()
    assert host.tick(timedelta(minutes=46)) == []
    assert host.tick(timedelta(minutes=1)) == ["inc"]  # 02:37 for the first time, 00:37 UTC
    assert [host.tick(HOUR / 4) for unused in range(12)] == [[]] * 12


def test_all_configurations_and_types_of_a_host_share_one_minute_and_hosts_differ(host: Host) -> None:
    host.config("etc", full=NOON, inc=HOURLY)
    host.config("home", inc=NOON)
    host.tick()
    before_noon = START.replace(hour=12, minute=36, second=59)
    assert host.tick(before_noon - START) == ["inc"]  # the hourly one of 11:37
    assert host.tick(timedelta(seconds=1)) == ["full", "inc"]
    assert len({minute_of(f"host{number}.example") for number in range(20)}) > 10


def test_a_full_that_served_an_incremental_is_remembered_for_both_or_for_none(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    host.config(full=NOON, inc=NOON)
    host.tick()
    with sqlite3.connect(host.settings.state_dir / "state.db") as other:
        other.execute(
            "CREATE TRIGGER dies BEFORE UPDATE ON schedule_state WHEN NEW.backup_type = 'inc'"
            " BEGIN SELECT RAISE(ABORT, 'as if the agent died here'); END"
        )
    assert host.tick(2 * HOUR) == ["full"]
    assert "cannot be served" in caplog.text
    with sqlite3.connect(host.settings.state_dir / "state.db") as other:
        other.execute("DROP TRIGGER dies")
    host.boot()
    assert host.tick() == []
    assert host.tick(24 * HOUR) == ["full"]


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


def test_a_crash_there_and_a_new_name_of_the_configuration_do_not_stop_its_schedule(host: Host) -> None:
    config = host.config(inc=HOURLY)
    host.tick()
    last = host.store.schedule_state.last_run(config.backup_id, "inc")
    assert last is not None
    assert host.tick(HOUR) == ["inc"]
    host.store.schedule_state.set_last_run(config.backup_id, "inc", last)
    host.store.configs.update(replace(config, backup_name="renamed"))
    host.boot()
    host.tick()
    assert host.tick(HOUR) == ["inc"]


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
