# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads of a storage whose requests have connections of their own: under way together, told apart."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from papi_backup.engine.storage.parallel_reads import READERS, ParallelReads, start_daemon
from papi_backup.engine.storage.protocol import ObjectMissingError

SECONDS = 10.0


def told(name: str, offset: int, length: int) -> bytes:
    if name == "missing":
        raise ObjectMissingError(name)
    return f"{name} {offset} {length}".encode()


@pytest.fixture
def reads() -> Iterator[ParallelReads]:
    reads = ParallelReads(told)
    yield reads
    reads.close()


def test_each_read_has_its_own_result_or_error(reads: ParallelReads) -> None:
    begun = [(name, reads.begin(name, number, 9)) for number, name in enumerate(["a", "missing", "b", "a"])]
    for number, (name, read) in reversed(list(enumerate(begun))):
        if name == "missing":
            with pytest.raises(ObjectMissingError):
                read.result()
        else:
            assert read.result() == f"{name} {number} 9".encode()


def test_reads_are_under_way_at_the_same_time() -> None:
    together = threading.Barrier(READERS)

    def get(name: str, offset: int, length: int) -> bytes:
        together.wait(SECONDS)
        return told(name, offset, length)

    reads = ParallelReads(get)
    begun = [reads.begin("a", number, 1) for number in range(2 * READERS)]
    assert [read.result() for read in begun] == [told("a", number, 1) for number in range(2 * READERS)]
    reads.close()


@pytest.mark.parametrize("allowed", [0, 1])
def test_a_host_that_allows_few_threads_gets_its_reads_with_those(allowed: int) -> None:
    started: list[Callable[[], None]] = []

    def start(run: Callable[[], None]) -> None:
        if len(started) == allowed:
            raise RuntimeError("can't start new thread")
        started.append(run)
        start_daemon(run)

    reads = ParallelReads(told, start)
    begun = [reads.begin("a", number, 1) for number in range(3)]
    assert [read.result() for read in begun] == [told("a", number, 1) for number in range(3)]
    reads.close()


def test_a_read_begun_after_the_close_is_done_all_the_same(reads: ParallelReads) -> None:
    reads.begin("a", 0, 1).result()
    reads.close()
    assert reads.begin("a", 1, 2).result() == told("a", 1, 2)


def test_what_was_begun_ends_and_so_do_the_threads_when_it_is_closed(reads: ParallelReads) -> None:
    before = threading.active_count()
    begun = [reads.begin("a", number, 1) for number in range(5)]
    reads.close()
    assert [read.result() for read in begun] == [told("a", number, 1) for number in range(5)]
    for thread in threading.enumerate():
        if thread.name == "read":
            thread.join(SECONDS)
    assert threading.active_count() <= before


def test_nothing_is_started_before_a_read_is_begun() -> None:
    before = threading.active_count()
    ParallelReads(told).close()
    assert threading.active_count() == before
