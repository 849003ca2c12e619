# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backup configurations: edits, tests, last jobs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from fake_backends import HOST_KEY, NOW, World

from papi_backup.config import Settings
from papi_backup.model.errors import InvalidParameterError, InvalidStorageError, NoSuchEntityError
from papi_backup.model.job import JobResult
from papi_backup.model.schedule import BackupConfig, BackupType, Schedule, SourceSet
from papi_backup.model.secret import NO_SECRET, Secret
from papi_backup.model.storage import SshStorage
from papi_backup.services.configs import ConfigFields, ConfigService
from papi_backup.services.schedules import checked_schedule

OFF = Schedule()
FIELDS = ConfigFields("new", 2, OFF, OFF)
KINDS: tuple[BackupType, ...] = ("full", "inc")


def test_a_new_configuration_is_unencrypted_and_uses_the_agents_sources_unless_told(world: World) -> None:
    planned = world.services.configs.add(FIELDS, apply=False).after
    added = world.services.configs.add(FIELDS, apply=True).after
    assert planned and added
    assert added.config == BackupConfig("new", 2, backup_id=2) == world.store.configs.get(2)
    assert planned.config == replace(added.config, backup_id=0)
    assert added.storage_name == "bucket"


def test_an_update_replaces_documented_parameters_and_keeps_absent_extensions(world: World) -> None:
    verbs = world.services.configs
    whole = replace(FIELDS, encryption_key=Secret("k"), paths=("/etc",), excludes=("*.tmp",))
    verbs.update(1, whole, apply=True)
    hourly = Schedule("hourly")
    verbs.update(1, ConfigFields("renamed", 1, OFF, hourly), apply=True)
    stored = world.store.configs.get(1)
    assert stored == BackupConfig("renamed", 1, Secret("k"), OFF, hourly, ("/etc",), ("*.tmp",), 1)
    verbs.update(1, ConfigFields("renamed", 1, OFF, hourly, NO_SECRET, (), ()), apply=True)
    assert world.store.configs.get(1) == BackupConfig("renamed", 1, NO_SECRET, OFF, hourly, (), (), 1)


def test_jobs_that_wait_take_the_new_name_of_their_configuration_and_others_keep_theirs(world: World) -> None:
    ended, runs, waits = (world.add_job() for unused in range(3))
    world.store.jobs.fail(ended.job_id, 4001, "gone")
    world.store.jobs.start(runs.job_id)
    world.services.configs.add(FIELDS, apply=True)
    world.services.jobs.run_backup("new", "inc", apply=True)
    renamed = ConfigFields("renamed", 1, OFF, OFF)
    world.services.configs.update(1, renamed, apply=False)
    assert {job.backup_name for job in world.store.jobs.list()} == {"system", "new"}
    world.services.configs.update(1, renamed, apply=True)
    assert [job.backup_name for job in world.store.jobs.list()] == ["system", "system", "renamed", "new"]
    following = world.store.jobs.next_waiting({"renamed"})
    assert following is not None and following[0].backup_name == "new"
    assert waits.backup_name == "system"


def test_an_update_that_says_what_is_there_changes_nothing(world: World) -> None:
    stored = world.store.configs.get(1)
    same = ConfigFields(stored.backup_name, stored.storage_id, stored.full, stored.inc)
    assert not world.services.configs.update(1, same, apply=True).changed
    for other in (
        replace(same, encryption_key=Secret("another")),
        replace(same, encryption_key=NO_SECRET),
        replace(same, inc=OFF),
        replace(same, paths=("/x",)),
    ):
        assert world.services.configs.update(1, other, apply=False).changed
    assert world.store.configs.get(1) == stored


def test_new_and_changed_schedules_count_from_now_and_others_go_on(world: World) -> None:
    """Also when the agent ends before its scheduler has looked at them."""
    state, verbs = world.store.schedule_state, world.services.configs
    long_ago = NOW - timedelta(days=9)
    for kind in KINDS:
        state.set_last_run(1, kind, long_ago)
    stored = world.store.configs.get(1)
    changed = ConfigFields("system", 1, stored.full, Schedule("hourly"))
    verbs.update(1, changed, apply=False)
    assert [state.last_run(1, kind) for kind in KINDS] == [long_ago, long_ago]
    verbs.update(1, changed, apply=True)
    assert [state.last_run(1, kind) for kind in KINDS] == [long_ago, NOW]
    verbs.update(1, replace(changed, paths=("/etc",)), apply=True)
    assert [state.last_run(1, kind) for kind in KINDS] == [long_ago, NOW]
    verbs.add(FIELDS, apply=True)
    assert [state.last_run(2, kind) for kind in KINDS] == [NOW, NOW]


@pytest.mark.parametrize("apply", [False, True])
def test_unknown_storages_and_taken_names_are_refused_planned_or_not(world: World, apply: bool) -> None:
    with pytest.raises(NoSuchEntityError, match="storage 99"):
        world.services.configs.add(replace(FIELDS, storage_id=99), apply=apply)
    with pytest.raises(InvalidParameterError, match=r"'backup_name'.*'system' exists"):
        world.services.configs.add(replace(FIELDS, backup_name="system"), apply=apply)
    with pytest.raises(NoSuchEntityError, match="configuration 99"):
        world.services.configs.update(99, FIELDS, apply=apply)
    with pytest.raises(NoSuchEntityError, match="configuration 99"):
        world.services.configs.delete(99, apply=apply)


def test_a_deleted_configuration_leaves_its_history(world: World) -> None:
    job = world.services.jobs.run_backup("system", "full", apply=True).after
    change = world.services.configs.delete(1, apply=True)
    assert change.after is None
    assert world.store.configs.list() == []
    assert world.services.jobs.list() == [job]


def test_a_list_shows_the_last_job_of_each_type(world: World) -> None:
    first = world.services.jobs.run_backup("system", "full", apply=True).after
    second = world.services.jobs.run_backup("system", "full", apply=True).after
    assert first and second
    world.store.jobs.finish(first.job_id, JobResult("done", "full", 1, 1, 1, 1))
    (status,) = world.services.configs.list()
    assert (status.full, status.inc) == (second, None)


def test_a_test_looks_for_every_source_before_it_asks_the_storage(world: World, tmp_path: Path) -> None:
    there, link = tmp_path / "there", tmp_path / "link"
    there.touch()
    link.symlink_to("nowhere")
    fields = replace(FIELDS, backup_name="system", storage_id=1)
    world.services.configs.update(1, replace(fields, paths=(str(there), "/no/such")), apply=True)
    with pytest.raises(InvalidParameterError, match=r"'paths'.*'/no/such'"):
        world.services.configs.test(1, pin=True)
    assert world.queries.asked == []
    world.services.configs.update(1, replace(fields, paths=(str(there), str(link))), apply=True)
    world.services.configs.test(1, pin=True)
    vault = world.store.storages.get(1)
    assert isinstance(vault, SshStorage) and vault.host_key == HOST_KEY


def test_a_test_asks_for_as_much_room_as_the_last_backups_of_its_schedules_took(world: World) -> None:
    test = world.services.configs.test
    test(1, pin=False)
    stored_before: tuple[tuple[BackupType, int], ...] = (("full", 5000), ("inc", 70), ("inc", 80))
    for kind, stored in stored_before:
        job = world.services.jobs.run_backup("system", kind, apply=True).after
        assert job is not None
        world.store.jobs.finish(job.job_id, JobResult("", kind, 1, 1, 1, stored))
    test(1, pin=False)
    fields = replace(FIELDS, backup_name="system", storage_id=1, inc=Schedule("daily"))
    world.services.configs.update(1, fields, apply=True)
    test(1, pin=False)
    world.services.configs.update(1, replace(fields, inc=OFF), apply=True)
    test(1, pin=False)
    assert world.queries.rooms == [0, 5000, 80, 5000]


def test_a_test_tells_what_is_wrong_with_the_storage_and_who_has_no_sources(world: World) -> None:
    world.queries.failures["vault"] = InvalidStorageError("write: no space")
    with pytest.raises(InvalidStorageError, match="write: no space"):
        world.services.configs.test(1, pin=True)
    bare = Settings(world.settings.state_dir, "h", sources={"other": SourceSet(("/",))})
    with pytest.raises(InvalidParameterError, match="names no paths"):
        ConfigService(world.store, bare, world.services.storages, world.queries).test(1, pin=True)


REFUSED = [
    (Schedule("yearly", time_list=(0,)), "schedule_inc_time_list", "1-12"),
    (Schedule("yearly", time_list=(13,)), "schedule_inc_time_list", "1-12"),
    (Schedule("monthly", time_list=(0,)), "schedule_inc_time_list", "1-31"),
    (Schedule("weekly", time_list=(7,)), "schedule_inc_time_list", "0 = Sunday"),
    (Schedule("hourly", time_list=(24,)), "schedule_inc_time_list", "0-23"),
    (Schedule("monthly", day_run=(1,)), "schedule_inc_day_run", "only if the period is yearly"),
    (Schedule("daily", day_run=(1,)), "schedule_inc_day_run", "only if the period is yearly"),
    (Schedule("hourly", time_run=(1,)), "schedule_inc_time_run", "yearly, monthly, weekly, daily"),
]
TAKEN = [
    Schedule("yearly", 2, (1, 12), (1, 31), (0, 23)),
    Schedule("monthly", 1, (1, 31), (), (5,)),
    Schedule("weekly", 1, (0, 6), (), (5,)),
    Schedule("daily", 366, (31,), (), (5,)),
    Schedule("hourly", 6, (0, 23)),
    Schedule("deactivated", 1, (31,), (1,), (1,)),
]


@pytest.mark.parametrize(("schedule", "parameter", "words"), REFUSED)
def test_a_list_that_the_period_has_no_use_for_is_refused_by_name(
    world: World, schedule: Schedule, parameter: str, words: str
) -> None:
    with pytest.raises(InvalidParameterError, match=f"'{parameter}'.*{words}") as caught:
        world.services.configs.add(replace(FIELDS, inc=schedule), apply=True)
    assert caught.value.parameter == parameter


@pytest.mark.parametrize("schedule", TAKEN, ids=lambda schedule: schedule.period)
def test_what_a_period_takes_or_does_not_mind_is_kept(schedule: Schedule) -> None:
    assert checked_schedule("full", schedule) == schedule


def test_lists_are_kept_sorted_and_without_repetition() -> None:
    given = Schedule("yearly", 1, (7, 1, 7), (15, 1), (3, 3))
    assert checked_schedule("full", given) == Schedule("yearly", 1, (1, 7), (1, 15), (3,))


def test_jobs_dates_come_from_the_injected_clock(world: World) -> None:
    planned = world.services.jobs.run_backup("system", "inc", apply=False).after
    assert planned and planned.start_date == NOW


BLANK_KEYS = [" ", "\n", "\r\n", " \t ", "\u2003"]


@pytest.mark.parametrize("key", BLANK_KEYS)
def test_a_key_of_blanks_is_refused_where_it_is_set(world: World, key: str) -> None:
    verbs = world.services.configs
    for apply in (False, True):
        with pytest.raises(InvalidParameterError, match="nothing but blanks") as added:
            verbs.add(replace(FIELDS, encryption_key=Secret(key)), apply=apply)
        with pytest.raises(InvalidParameterError, match="nothing but blanks"):
            verbs.update(1, ConfigFields("system", 1, OFF, OFF, Secret(key)), apply=apply)
        assert added.value.parameter == "encryption_key"
    assert [status.entry.config.backup_name for status in verbs.list()] == ["system"]


def test_a_configuration_that_has_a_key_of_blanks_goes_on_and_can_be_edited(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    before = replace(world.store.configs.get(1), encryption_key=Secret("\n"))
    world.store.configs.update(before)
    edited = ConfigFields("system", 1, OFF, OFF, paths=("/etc",))
    for key in (None, Secret("\n")):
        world.services.configs.update(
            1, replace(edited, encryption_key=key, excludes=(str(key),)), apply=True
        )
        assert world.store.configs.get(1).encryption_key == Secret("\n")
        assert "nothing but blanks" in caplog.text
        caplog.clear()
    with pytest.raises(InvalidParameterError):
        world.services.configs.update(1, replace(edited, encryption_key=Secret(" ")), apply=True)


@pytest.mark.parametrize(("key", "warned"), [("1234567", True), ("12345678", False), ("", False)])
def test_a_short_key_is_a_warning_in_the_log_without_the_key(
    world: World, caplog: pytest.LogCaptureFixture, key: str, warned: bool
) -> None:
    world.services.configs.add(replace(FIELDS, encryption_key=Secret(key)), apply=True)
    assert ("fewer than 8 characters" in caplog.text) == warned
    assert not key or key not in caplog.text
