# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A limited transfer: never faster than it may, in all processes together, and no slower than it need."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from papi_backup.engine.storage.bucket import CREDIT, SLICE, SMALLEST, SharedBucket
from papi_backup.engine.storage.directory import DirectoryStorage
from papi_backup.engine.storage.opener import opener_for, patient
from papi_backup.engine.storage.protocol import Storage, StorageOpener
from papi_backup.engine.storage.retrying import RetryingStorage
from papi_backup.engine.storage.throttled import SMALLEST_READ, Buckets, ThrottledStorage
from papi_backup.model.limits import EVERY_DAY, Limits, Window
from papi_backup.model.storage import StorageAccess

KIBIBYTE, MEBIBYTE = 1 << 10, 1 << 20
RATE = 100 * KIBIBYTE


class Clock:
    """Time that passes while somebody sleeps, or says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def bucket(self, rate: Callable[[], int]) -> SharedBucket:
        return SharedBucket(rate, self.read, self.sleep)


# -- the bucket ----------------------------------------------------------------------------------


@given(
    rate=st.integers(8 * KIBIBYTE, 1 << 30),
    steps=st.lists(st.tuples(st.floats(0, 3), st.integers(1, 8 * MEBIBYTE)), max_size=12),
)
def test_whatever_the_pauses_no_more_passes_than_the_rate_and_a_credit(
    rate: int, steps: list[tuple[float, int]]
) -> None:
    clock = Clock()
    bucket = clock.bucket(lambda: rate)
    begun, passed = clock.now, 0
    for pause, size in steps:
        clock.sleep(pause)
        end = passed + size
        while passed < end:
            taken = bucket.take(end - passed)
            assert 0 < taken <= max(SMALLEST, rate * SLICE)
            passed += taken
            assert passed <= rate * (clock.now - begun + CREDIT) + 1


@given(rate=st.integers(8 * KIBIBYTE, 1 << 30), size=st.integers(1, 64 * MEBIBYTE))
def test_who_never_pauses_gets_the_rate(rate: int, size: int) -> None:
    clock = Clock()
    clock.bucket(lambda: rate).take_all(size)
    assert clock.now - 1000 == pytest.approx(size / rate, rel=1e-6)


def test_short_pauses_are_made_up_for() -> None:
    clock = Clock()
    bucket = clock.bucket(lambda: RATE)
    for _unused in range(20):
        bucket.take_all(RATE // 2)
        clock.sleep(CREDIT / 2)  # the storage's answer
    assert clock.now - 1000 == pytest.approx(10 + CREDIT / 2)


def test_a_rate_of_nothing_is_no_limit() -> None:
    clock = Clock()
    assert clock.bucket(lambda: 0).take(1 << 40) == 1 << 40
    assert clock.now == 1000.0


def test_a_new_rate_holds_from_the_next_slice_on() -> None:
    clock = Clock()
    bucket = clock.bucket(lambda: RATE if clock.now < 1010 else 4 * RATE)
    bucket.take_all(10 * RATE + 40 * RATE)
    assert clock.now == pytest.approx(1020, abs=SLICE)


def take_in_pieces(bucket: SharedBucket, size: int) -> None:
    bucket.take_all(size)


def test_processes_share_one_bucket() -> None:
    context = multiprocessing.get_context("fork")
    bucket = SharedBucket(lambda: 10 * MEBIBYTE)
    begun = time.monotonic()
    processes = [context.Process(target=take_in_pieces, args=(bucket, 5 * MEBIBYTE)) for _unused in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert time.monotonic() - begun == pytest.approx(1.5, rel=0.1)


# -- the wrapper ---------------------------------------------------------------------------------


def throttled(base: Path, clock: Clock, upload: Callable[[], int], download: Callable[[], int]) -> Storage:
    buckets = Buckets(clock.bucket(upload), clock.bucket(download))
    storage = ThrottledStorage(DirectoryStorage(base), buckets)
    storage.open()
    return storage


def put(storage: Storage, name: str, data: bytes) -> None:
    writer = storage.create(name, len(data))
    writer.write(data)
    writer.commit()


def test_what_goes_up_and_what_comes_down_have_limits_of_their_own(tmp_path: Path) -> None:
    clock = Clock()
    storage = throttled(tmp_path / "base", clock, lambda: RATE, lambda: 2 * RATE)
    data = os.urandom(10 * RATE)
    put(storage, "data/1", data)
    assert clock.now - 1000 == pytest.approx(10, abs=CREDIT)
    begun = clock.now
    assert storage.get("data/1") == data
    assert storage.get("data/1", 0, 10 * RATE) == data
    assert clock.now - begun == pytest.approx(10, abs=2 * CREDIT)


def test_a_window_that_begins_in_the_middle_of_a_transfer_is_kept_to(tmp_path: Path) -> None:
    clock = Clock()
    storage = throttled(tmp_path / "base", clock, lambda: 0 if clock.now < 1000 else RATE, lambda: 0)
    clock.now = 999.0
    writer = storage.create("data/1")
    writer.write(bytes(100 * RATE))
    assert clock.now == 999.0
    clock.now = 1000.0
    writer.write(bytes(10 * RATE))
    writer.commit()
    assert clock.now - 1000 == pytest.approx(10, abs=CREDIT)


@given(
    offset=st.integers(0, 2 * MEBIBYTE), length=st.integers(0, 2 * MEBIBYTE), rate=st.integers(8192, 1 << 22)
)
def test_a_range_that_comes_in_pieces_is_the_same_range(
    tmp_path_factory: pytest.TempPathFactory, offset: int, length: int, rate: int
) -> None:
    storage = throttled(tmp_path_factory.mktemp("base"), Clock(), lambda: 0, lambda: rate)
    data = os.urandom(MEBIBYTE + 1)
    put(storage, "data/1", data)
    assert storage.get("data/1", offset, length) == data[offset : offset + length]


def test_a_slow_read_does_not_make_a_request_of_every_few_bytes(tmp_path: Path) -> None:
    clock = Clock()
    bucket = clock.bucket(lambda: 8 * KIBIBYTE)
    assert bucket.take(MEBIBYTE, SMALLEST_READ) == SMALLEST_READ
    assert bucket.take(100, SMALLEST_READ) == 100


def test_without_limits_there_is_no_wrapper(tmp_path: Path, ssh_access: StorageAccess) -> None:
    priority_only = Limits(windows=(Window(EVERY_DAY, 0, 0, nice=19),))
    for limits in (Limits(), priority_only):
        assert opener_for(ssh_access, limits) == opener_for(ssh_access)
    assert isinstance(patient(ssh_access), RetryingStorage)


# -- a real server -------------------------------------------------------------------------------

LIMIT = 4 * MEBIBYTE
EACH = 6 * MEBIBYTE
HELPERS = 2


def upload(opener: StorageOpener, name: str, start: Callable[[], object]) -> None:
    storage = opener()
    data = os.urandom(EACH)
    start()
    put(storage, name, data)
    storage.close()


def download(opener: StorageOpener, name: str, start: Callable[[], object]) -> None:
    storage = opener()
    start()
    assert len(storage.get(name, 0, EACH)) == EACH
    storage.close()


@pytest.mark.parametrize("direction", [upload, download])
def test_two_helpers_over_ssh_together_keep_to_the_limit_within_a_tenth(
    ssh_access: StorageAccess, direction: Callable[[StorageOpener, str, Callable[[], object]], None]
) -> None:
    names = [f"data/{number}" for number in range(HELPERS)]
    if direction is download:
        for name in names:
            upload(opener_for(ssh_access), name, int)
    opener = opener_for(ssh_access, Limits(upload=LIMIT, download=LIMIT))
    context = multiprocessing.get_context("fork")
    connected = context.Barrier(HELPERS + 1)
    helpers = [context.Process(target=direction, args=(opener, name, connected.wait)) for name in names]
    for helper in helpers:
        helper.start()
    connected.wait(60)
    begun = time.monotonic()
    for helper in helpers:
        helper.join()
        assert helper.exitcode == 0
    rate = HELPERS * EACH / (time.monotonic() - begun)
    print(f"{direction.__name__}: {rate / LIMIT:.3f} of the limit")  # seen with pytest -s
    assert rate == pytest.approx(LIMIT, rel=0.1)
