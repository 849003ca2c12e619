# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who restores what: each share once, neighbours by one process, large files at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from papi_backup.engine.restore.queue import ShareQueue
from papi_backup.engine.restore.share import Share


def shares(count: int) -> list[Share]:
    """Return shares that can be told apart; the queue does not look into them."""
    return [Share((), frozenset({number})) for number in range(count)]


def numbers(taken: list[Share | None]) -> list[int]:
    return [min(share.rows) for share in taken if share is not None]


def test_each_process_goes_through_a_part_of_its_own_in_order() -> None:
    queue = ShareQueue(shares(8), 2)
    turns = [(process, queue.take(process)) for _turn in range(4) for process in (0, 1)]
    assert numbers([share for process, share in turns if process == 0]) == [0, 1, 2, 3]
    assert numbers([share for process, share in turns if process == 1]) == [4, 5, 6, 7]
    assert (queue.take(0), queue.take(1)) == (None, None)


def test_who_has_done_its_part_gets_the_later_half_of_anothers_in_order() -> None:
    queue = ShareQueue(shares(8), 2)
    assert numbers([queue.take(0) for _turn in range(4)]) == [0, 1, 2, 3]
    assert numbers([queue.take(0)]) == [6]
    assert numbers([queue.take(1), queue.take(0), queue.take(1)]) == [4, 7, 5]
    assert queue.take(0) is None


def test_large_files_come_before_everything_else_whoever_is_free() -> None:
    queue = ShareQueue(shares(4), 2)
    queue.put_first([Share((), frozenset({100})), Share((), frozenset({101}))])
    queue.put_first([Share((), frozenset({200}))])
    assert numbers([queue.take(1), queue.take(1), queue.take(0), queue.take(0)]) == [200, 100, 101, 0]


@given(st.integers(0, 40), st.integers(1, 6), st.lists(st.integers(0, 5), max_size=80))
def test_whoever_is_free_when_each_share_is_done_once(count: int, processes: int, turns: list[int]) -> None:
    queue = ShareQueue(shares(count), processes)
    taken = [queue.take(turn % processes) for turn in turns]
    assert numbers(taken) == numbers(taken[: min(count, len(turns))]), "none is idle while there is work"
    rest = [queue.take(0) for _turn in range(count)]
    assert sorted(numbers(taken + rest)) == list(range(count))
