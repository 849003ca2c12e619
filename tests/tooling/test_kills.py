# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kill points can be repeated, cover all there is to kill, and do kill."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from kills.apart import attempt
from kills.dying import Calls, Death, DyingStorage
from kills.methods import METHODS
from kills.points import STORAGES, stories

from papi_backup.engine.storage.directory import DirectoryStorage

NAME = "data/object"


def test_a_point_is_the_same_wherever_a_run_begins() -> None:
    whole = {n: story.point(n) for story, numbers in stories(7, 0, 100, STORAGES) for n in numbers}
    part = {n: story.point(n) for story, numbers in stories(7, 43, 5, STORAGES) for n in numbers}
    assert sorted(whole) == list(range(100))
    assert part == {number: whole[number] for number in range(43, 48)}
    assert whole != {n: story.point(n) for story, numbers in stories(8, 0, 100, STORAGES) for n in numbers}


def test_five_hundred_points_kill_everything_everywhere() -> None:
    drawn = [(story, story.point(n)) for story, numbers in stories(1, 0, 500, STORAGES) for n in numbers]
    killed = {
        (story.level, story.storage, point.action, point.victim if story.level == "api" else "")
        for story, point in drawn
    }
    engine = itertools.product(["engine"], STORAGES, ["full", "inc", "restore"], [""])
    victims = ("worker", "helper", "agent", "all")
    api = itertools.product(["api"], STORAGES, ["full", "inc", "restore", "changes"], victims)
    assert killed == {*engine, *api}
    assert {point.methods[0] for _story, point in drawn} == set(METHODS)


def write_an_object(root: Path, calls: Calls, death: Death | None) -> int:
    storage = DyingStorage(DirectoryStorage(root), calls, death)
    writer = storage.create(NAME)
    for _number in range(3):
        writer.write(b"piece")
    writer.commit()
    return len(list(storage.list("")))


@pytest.mark.parametrize("after", [False, True])
def test_a_job_dies_in_the_call_that_was_drawn_and_before_or_after_it(tmp_path: Path, after: bool) -> None:
    calls = Calls()
    assert attempt(lambda: write_an_object(tmp_path, calls, Death("commit", 1, after))) is None
    assert (tmp_path / NAME).exists() == after
    assert calls.made == {"create": 1, "write": 3, "commit": 1}


def test_a_job_whose_calls_are_fewer_than_that_tells_its_result(tmp_path: Path) -> None:
    done = attempt(lambda: write_an_object(tmp_path, Calls(), Death("write", 4, after=False)))
    assert done is not None
    assert done.value == 1
