# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""job/list answers from what it encoded before, and nobody can tell from the answer."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from fake_backends import NOW, World, create_world
from hypothesis import given, settings
from hypothesis import strategies as st
from running_api import RunningApi

from papi_backup.api import job_listing
from papi_backup.api.envelope import encode, success
from papi_backup.api.job_listing import JobListing
from papi_backup.api.views import job_view
from papi_backup.model.job import Job, JobResult
from papi_backup.state.jobs import JobRequest

ROME, KOLKATA = ZoneInfo("Europe/Rome"), ZoneInfo("Asia/Kolkata")


def add(world: World, name: str = "system") -> int:
    job = Job(0, "backup", "waiting", name, "full", NOW + timedelta(minutes=1))
    return world.store.jobs.add(job, JobRequest()).job_id


def result(size: int = 5) -> JobResult:
    return JobResult("done \udcff <&>", "full", size, 2, 3, 4)


def plainly(world: World, zone: ZoneInfo, answer_format: str) -> bytes:
    """The answer as it is without anything kept."""
    return encode(success([job_view(job, zone) for job in world.store.jobs.list()], {}), answer_format)


def listed(listing: JobListing, world: World, zone: ZoneInfo, answer_format: str) -> bytes:
    prepared = listing.of(world.services.jobs, zone, lambda job: job_view(job, zone))
    return encode(success(prepared, {}), answer_format)


STEPS = st.lists(
    st.one_of(
        st.just(("add", 0)),
        *(st.tuples(st.just(step), st.integers(1, 8)) for step in ("start", "finish", "fail", "prune")),
    ),
    max_size=25,
)


@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_after_any_history_it_answers_what_encoding_everything_would(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    world = create_world(tmp_path_factory.mktemp("history"))
    listing, jobs = JobListing(), world.store.jobs
    status: dict[int, str] = {}
    with world.store:
        for step, number in steps:
            if step == "add":
                status[add(world)] = "waiting"
            elif step == "prune":
                jobs.prune(keep_count=number, keep_days=0)
                kept = {job.job_id for job in jobs.list()}
                status = {job_id: was for job_id, was in status.items() if job_id in kept}
            elif step == "start" and status.get(number) == "waiting":
                jobs.start(number)
                status[number] = "running"
            elif step in ("finish", "fail") and status.get(number) in ("waiting", "running"):
                jobs.finish(number, result()) if step == "finish" else jobs.fail(number, 4001, "no")
                status[number] = "ended"
            for zone in (ROME, KOLKATA):
                for answer_format in ("json", "xml"):
                    assert listed(listing, world, zone, answer_format) == plainly(world, zone, answer_format)


def test_a_job_that_has_ended_is_encoded_once_and_one_that_has_not_each_time(tmp_path: Path) -> None:
    world = create_world(tmp_path)
    encoded: list[int] = []

    def view(job: Job) -> dict[str, object]:
        encoded.append(job.job_id)
        return job_view(job, ROME)

    with world.store:
        listing = JobListing()
        ended, live = add(world), add(world)
        world.store.jobs.finish(ended, result())
        for _unused in range(3):
            listing.of(world.services.jobs, ROME, view).items("json")
        assert encoded == [ended, live, live, live]


def test_what_is_kept_is_bounded_by_jobs_and_by_zones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_listing, "MAXIMUM_JOBS", 5)
    world = create_world(tmp_path)
    with world.store:
        for _unused in range(9):
            world.store.jobs.finish(add(world), result())
        listing = JobListing()
        for zone in ("Europe/Rome", "Asia/Kolkata", "UTC", "America/Lima", "Africa/Cairo"):
            for _unused in range(2):
                assert listed(listing, world, ZoneInfo(zone), "json") == plainly(
                    world, ZoneInfo(zone), "json"
                )
        assert len(listing._tables) == job_listing.MAXIMUM_TABLES
        assert {len(table.encoded) for table in listing._tables.values()} == {5}


def test_a_full_table_forgets_what_left_the_history_and_keeps_what_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_listing, "MAXIMUM_JOBS", 5)
    world = create_world(tmp_path)
    with world.store:
        listing = JobListing()
        for rounds in range(1, 5):
            for _unused in range(9):
                world.store.jobs.finish(add(world), result())
            world.store.jobs.prune(9, 10_000)
            assert listed(listing, world, ROME, "json") == plainly(world, ROME, "json")
            (table,) = listing._tables.values()
            assert len(table.encoded) == 5
            assert set(table.encoded) <= {job.job_id for job in world.store.jobs.list()}, rounds


def test_jobs_are_found_by_their_ids_few_or_many(tmp_path: Path) -> None:
    world = create_world(tmp_path)
    with world.store:
        ids = [add(world) for unused in range(260)]
        jobs = world.store.jobs
        assert jobs.some([]) == []
        assert [job.job_id for job in jobs.some([ids[7], ids[3], 999])] == [ids[3], ids[7]]
        assert jobs.some(ids[:250]) == jobs.list()[:250]
        jobs.fail(ids[1], 4001, "no")
        jobs.start(ids[2])
        assert jobs.endings()[:4] == [(ids[0], False), (ids[1], True), (ids[2], False), (ids[3], False)]


def test_many_that_ask_at_once_all_get_the_whole_list(api: RunningApi) -> None:
    for number in range(300):
        job_id = add(api.world, f"b{number}")
        if number % 3:
            api.world.store.jobs.finish(job_id, result(number))
    expected = plainly(api.world, ROME, "json")
    answers: list[bytes] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(api.send("GET", "/papi/backup/job/list?timezone=Europe/Rome").body)
        )
        for unused in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert answers == [expected] * 12
