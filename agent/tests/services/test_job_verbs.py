# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running, restoring, listing what storages hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from fake_backends import NOW, World, backup_of

from papi_backup.model.errors import InvalidParameterError, NoSuchEntityError, TransferError
from papi_backup.model.job import Progress
from papi_backup.model.limits import UNLIMITED
from papi_backup.model.secret import NO_SECRET, Secret
from papi_backup.services.jobs import RestoreFields

RESTORE = RestoreFields("vault", "system", NOW, Secret("given"))


def test_a_planned_run_queues_nothing_and_still_wants_a_configuration(world: World) -> None:
    change = world.services.jobs.run_backup("system", "inc", apply=False)
    assert change.changed and change.after and change.after.job_id == 0
    assert world.services.jobs.list() == []
    with pytest.raises(NoSuchEntityError, match="'nothing'"):
        world.services.jobs.run_backup("nothing", "inc", apply=False)


def test_a_repeated_request_id_returns_the_same_job_even_when_the_configuration_is_gone(
    world: World,
) -> None:
    first = world.services.jobs.run_backup("system", "full", "r1", apply=True).after
    world.services.configs.delete(1, apply=True)
    again = world.services.jobs.run_backup("system", "full", "r1", apply=True)
    assert (again.changed, again.after) == (False, first)
    assert len(world.services.jobs.list()) == 1


def test_a_request_id_of_another_call_is_refused(world: World) -> None:
    world.services.jobs.run_backup("system", "full", "r1", apply=True)
    with pytest.raises(InvalidParameterError, match=r"'request_id'.*backup of 'system'"):
        world.services.jobs.restore(RESTORE, "r1")


@pytest.mark.parametrize("reserved", ["requeue:1:3", "requeue:1", "requeue:of mine"])
def test_a_request_id_of_the_agents_own_is_refused_and_queues_nothing(world: World, reserved: str) -> None:
    for apply in (True, False):
        with pytest.raises(InvalidParameterError, match=r"'request_id'.*'requeue:'"):
            world.services.jobs.run_backup("system", "full", reserved, apply=apply)
    with pytest.raises(InvalidParameterError, match=r"'request_id'.*'requeue:'"):
        world.services.jobs.restore(RESTORE, reserved)
    assert world.services.jobs.list() == []


def test_a_restore_is_queued_as_it_was_asked_for(world: World) -> None:
    job = world.services.jobs.restore(RESTORE, "r1")
    assert world.services.jobs.restore(RESTORE, "r1") == job
    world.services.jobs.restore(replace(RESTORE, hostname="other", encryption_key=NO_SECRET))
    mine, others = world.queue.restores
    assert (mine.hostname, mine.encryption_key.reveal()) == ("", "given")
    assert (others.hostname, others.encryption_key) == ("other", NO_SECRET)


def test_a_plan_without_a_host_name_is_of_this_host_and_no_limit_slows_it_down(world: World) -> None:
    for hostname in ("", "other"):
        world.services.jobs.plan_restore(replace(RESTORE, hostname=hostname))
    assert [order.options.hostname for order in world.queries.planned] == ["host.example", "other"]
    assert {order.limits for order in world.queries.planned} == {UNLIMITED}


def test_a_restore_from_an_unknown_storage_is_refused_at_once(world: World) -> None:
    for verb in (world.services.jobs.restore, world.services.jobs.plan_restore):
        with pytest.raises(NoSuchEntityError, match="'nowhere'"):
            verb(replace(RESTORE, storage_name="nowhere"))
    assert world.services.jobs.list() == []


def test_a_plan_asks_the_storage_with_its_ssh_id_and_queues_nothing(world: World) -> None:
    world.services.jobs.plan_restore(replace(RESTORE, target_dir="/t", include=("/etc",), overwrite="never"))
    (order,) = world.queries.planned
    assert order.access.ssh_id is not None
    assert (order.options.target_dir, order.options.include, order.options.overwrite) == (
        "/t",
        ("/etc",),
        "never",
    )
    assert world.services.jobs.list() == []


def test_a_planned_cancel_tells_the_end_and_changes_nothing(world: World) -> None:
    job = world.add_job()
    change = world.services.jobs.cancel(job.job_id, "admin", apply=False)
    assert change.changed and change.before == job and change.after is not None
    assert world.services.jobs.list() == [job]
    assert world.services.jobs.cancel(job.job_id, "admin", apply=True).after == change.after
    assert world.services.jobs.list() == [change.after]
    assert (change.after.description, change.after.error_code) == ("[3015] cancelled by admin", 3015)


def test_a_job_that_has_ended_is_not_cancelled_and_that_is_no_error(world: World) -> None:
    job = world.add_job()
    failed = world.store.jobs.fail(job.job_id, 4001, "[4001] gone")
    for apply in (False, True):
        change = world.services.jobs.cancel(job.job_id, "admin", apply=apply)
        assert (change.changed, change.before, change.after) == (False, failed, failed)
    with pytest.raises(NoSuchEntityError, match="there is no job 99"):
        world.services.jobs.cancel(99, "admin", apply=False)


def test_progress_is_told_of_running_jobs_alone(world: World) -> None:
    job = world.add_job()
    world.queue.running[job.job_id] = Progress(files_done=3)
    assert world.services.jobs.progress(job) is None
    assert world.services.jobs.progress(world.store.jobs.start(job.job_id)) == Progress(files_done=3)
    world.queue.running.clear()
    assert world.services.jobs.progress(world.store.jobs.get(job.job_id)) is None


def test_backups_are_listed_by_storage_and_name_oldest_first(world: World) -> None:
    first, second, third = (backup_of(NOW + timedelta(hours=hour)) for hour in range(3))
    other_name, other_host = backup_of(NOW, "home"), backup_of(NOW, host="other")
    world.queries.backups = {"vault": [third, other_host, first, other_name, second]}
    catalog = world.services.catalog
    assert catalog.list_backups() == {
        "vault": {"home": [other_name], "system": [first, second, third]},
        "bucket": {},
        "spare": {},
    }
    assert catalog.list_backups("vault", "other") == {"vault": {"system": [other_host]}}
    assert catalog.list_host_names("vault") == {"vault": ["host.example", "other"]}


def test_both_ends_of_a_range_are_in_it(world: World) -> None:
    days = [backup_of(datetime(2026, 3, day, tzinfo=UTC)) for day in range(1, 6)]
    world.queries.backups = {"vault": days}
    found = world.services.catalog.list_backups("vault", "", days[1].date, days[3].date)
    assert found == {"vault": {"system": days[1:4]}}
    assert world.services.catalog.list_backups("vault", "", days[4].date + timedelta(seconds=1)) == {
        "vault": {}
    }


def test_one_failing_storage_fails_the_call_with_its_own_code_and_is_named(world: World) -> None:
    world.queries.failures["spare"] = TransferError("given up")
    for verb in (world.services.catalog.list_backups, world.services.catalog.list_host_names):
        with pytest.raises(TransferError, match="'spare': given up"):
            verb()
        assert verb("vault")
        with pytest.raises(NoSuchEntityError, match="'nowhere'"):
            verb("nowhere")


def test_a_plan_looks_at_the_mark_of_what_this_agent_wrote(world: World) -> None:
    storage = world.store.storages.by_name(RESTORE.storage_name)
    world.store.high_water.put(storage.location, RESTORE.backup_name, "the mark")
    world.services.jobs.plan_restore(RESTORE)
    (order,) = world.queries.planned
    assert (order.high_water, order.instance_id) == ("the mark", world.store.instance_id)
