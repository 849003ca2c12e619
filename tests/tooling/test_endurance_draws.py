# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run of broken connections can be repeated from any job: job, blows and tree come from seed and number."""

from __future__ import annotations

from pathlib import Path

from endurance.drawing import KINDS, PLACES, draw
from endurance.fingerprint import differences, fingerprint
from endurance.resources import Taken, growth
from endurance.source import change_source, make_source

JOBS = 300


def test_a_job_is_the_same_whichever_were_drawn_before_it() -> None:
    together = [draw(7, number) for number in range(1, JOBS + 1)]
    assert [draw(7, number) for number in range(JOBS, 0, -1)] == together[::-1]
    assert [draw(8, number) for number in range(1, JOBS + 1)] != together


def test_a_whole_run_has_every_kind_of_job_and_blow_on_every_place() -> None:
    drawn = [draw(7, number) for number in range(1, JOBS + 1)]
    assert {(job.place, job.kind) for job in drawn} == {(place, kind) for place in PLACES for kind in KINDS}
    on_lines = {blow.action for job in drawn if job.place != "cluster" for blow in job.blows}
    on_cluster = {(job.kind, blow.action) for job in drawn if job.place == "cluster" for blow in job.blows}
    assert on_lines == {"reset", "end", "stall", "refuse"}
    assert on_cluster == {(kind, "kill") for kind in KINDS}
    assert any(not job.blows for job in drawn)


def test_a_run_that_goes_on_has_the_tree_that_it_would_have_had(tmp_path: Path) -> None:
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    make_source(whole, 7, 1)
    first = fingerprint(whole)
    for number in range(1, 40):
        change_source(whole, 7, number)
    make_source(resumed, 7, 40)
    names = {name for name, told in fingerprint(whole).items() if not told.startswith("directory")}
    one, other = ({name: tree[name] for name in names} for tree in map(fingerprint, (whole, resumed)))
    assert differences(one, other) == ""
    assert "names differ" in differences(first, fingerprint(whole))


def test_a_leak_of_a_descriptor_in_ten_jobs_is_found_and_a_steady_agent_is_not() -> None:
    steady = [Taken(60_000 + number % 7, 20 + number % 2, 9, 1) for number in range(JOBS)]
    leaking = [Taken(60_000, 20 + number // 10, 9, 1) for number in range(JOBS)]
    swelling = [Taken(60_000 + 150 * number, 20, 9, 1) for number in range(JOBS)]
    assert growth(steady) == ""
    assert "descriptors" in growth(leaking)
    assert "resident" in growth(swelling)
