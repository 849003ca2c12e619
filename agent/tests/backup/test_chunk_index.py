# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of chunks in shared memory: a dictionary that several processes share."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from multiprocessing.connection import Connection

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from papi_backup.engine.backup.chunk_index import ChunkIndex, Place

FORK = multiprocessing.get_context("fork")
FIRST_GENERATION = 1 << 12
"""Slots of the first table; two thirds of them are used before the next begins."""


def chunk(number: int) -> bytes:
    """Return an id; three at a time begin at one slot."""
    start = (number // 3 + 1) * 2_654_435_761 % (1 << 32)
    return start.to_bytes(8, "little") + number.to_bytes(8, "little")


@pytest.fixture
def index() -> Iterator[ChunkIndex]:
    index = ChunkIndex(FORK.Lock(), FIRST_GENERATION)
    yield index
    index.close()


_IDS = st.integers(0, 40).map(chunk)
_PLACES = st.builds(Place, st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 32) - 1))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(steps=st.lists(st.tuples(_IDS, st.none() | _PLACES)))
def test_it_answers_as_a_dictionary_that_keeps_the_first(steps: list[tuple[bytes, Place | None]]) -> None:
    index, model = ChunkIndex(FORK.Lock(), FIRST_GENERATION), dict[bytes, Place]()
    for chunk_id, place in steps:
        if place is not None:
            index.add(chunk_id, place)
            model.setdefault(chunk_id, place)
        assert index.find(chunk_id) == model.get(chunk_id)
    assert all(index.find(chunk_id) == place for chunk_id, place in model.items())
    index.close()


@pytest.mark.parametrize("expected", [0, 100, FIRST_GENERATION, FIRST_GENERATION * 9 // 4, 1 << 80])
def test_nothing_is_lost_when_tables_fill_and_larger_ones_begin(index: ChunkIndex, expected: int) -> None:
    """However many were expected, which a list can lie about: into the third generation where it was few."""
    count = FIRST_GENERATION * 9 // 4
    index.add_all([], expected)
    for number in range(count):
        index.add(chunk(number), Place(number, number + 1))
    assert all(index.find(chunk(number)) == Place(number, number + 1) for number in range(count))
    assert index.find(chunk(count)) is None


def test_an_id_of_an_older_table_keeps_its_place(index: ChunkIndex) -> None:
    index.add(chunk(0), Place(7, 7))
    for number in range(1, FIRST_GENERATION):
        index.add(chunk(number), Place(number, 0))
    index.add(chunk(0), Place(8, 8))
    assert index.find(chunk(0)) == Place(7, 7)


def test_what_one_process_adds_the_others_find(index: ChunkIndex) -> None:
    """Each of two forked processes adds its half, across generations, and looks for the other's."""
    count = FIRST_GENERATION * 2

    def work(own: int, pipe: Connection) -> None:
        for number in range(own, count, 2):
            index.add(chunk(number), Place(number, own))
        pipe.send("added")
        pipe.recv()
        pipe.send(sum(index.find(chunk(number)) == Place(number, number % 2) for number in range(count)))

    pipes = []
    for own in (0, 1):
        ours, theirs = FORK.Pipe()
        process = FORK.Process(target=work, args=(own, theirs), daemon=True)
        process.start()
        pipes.append((ours, process))
    assert [pipe.recv() for pipe, _process in pipes] == ["added", "added"]
    for pipe, _process in pipes:
        pipe.send("look")
    assert [pipe.recv() for pipe, _process in pipes] == [count, count]
    for _pipe, process in pipes:
        process.join()
    assert sum(index.find(chunk(number)) is not None for number in range(count)) == count


def test_it_can_be_closed_twice(index: ChunkIndex) -> None:
    index.add(chunk(1), Place(1, 1))
    index.close()
    index.close()
