# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files on which other processes hold leases keep a backup for a bounded time, however many they are."""

from __future__ import annotations

import fcntl
import itertools
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from reader_bench import Bench

from papi_backup.engine.backup.leases import Patience


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.index.close()


@contextmanager
def leases(paths: Sequence[Path], *, given_back: bool) -> Iterator[None]:
    """Hold leases in another process, which gives them back when it is asked to, or never."""
    ready, told = os.pipe()
    holder = os.fork()
    if holder == 0:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGIO])
        for path in paths:
            descriptor = os.open(path, os.O_RDWR)
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        os.write(told, b"x")
        if given_back:
            signal.sigtimedwait([signal.SIGIO], 20)
        else:
            signal.pause()
        os._exit(0)
    try:
        os.read(ready, 1)
        yield
    finally:
        if not given_back:
            os.kill(holder, signal.SIGKILL)
        os.waitpid(holder, 0)
        os.close(ready)
        os.close(told)


def test_a_file_under_another_process_lease_is_read_when_the_lease_is_given_back(
    bench: Bench, tmp_path: Path
) -> None:
    """As Samba holds them for its clients."""
    path = tmp_path / "document"
    path.write_bytes(b"content")
    with leases([path], given_back=True):
        file = bench.read(path)
    assert file.error == ""
    assert bench.stored(file) == b"content"


def test_leases_that_are_never_given_back_cost_one_budget_in_all_and_their_files_are_named(
    tmp_path: Path,
) -> None:
    """The kernel would take each of them after 45 seconds."""
    bench = Bench(Patience(0.3, glances=0.3))
    paths = [tmp_path / f"{number:04}" for number in range(1000)]
    for path in paths:
        path.write_bytes(b"content")
    with leases(paths[:-1], given_back=False):
        began = time.monotonic()
        files = bench.read_all(paths)
        took = time.monotonic() - began
    bench.index.close()
    assert took < 10
    assert {file.error.partition(" and ")[0] for file in files[:-1]} == {
        "another process holds a lease on it"
    }
    assert bench.stored(files[-1]) == b"content"


def test_the_patience_of_a_job_is_shared_by_its_processes_and_spent_once() -> None:
    moments = itertools.count()  # a second passes between two looks at the clock
    patience = Patience(20, sleep=lambda _seconds: None, clock=lambda: float(next(moments)))
    tries = multiprocessing.get_context("fork").Value("i", 0)

    def attempt() -> int:
        tries.value += 1
        raise BlockingIOError

    def wait_for_many() -> None:
        for _file in range(1000):
            with pytest.raises(BlockingIOError, match="20 seconds"):
                patience.outlast(attempt)

    process = multiprocessing.get_context("fork").Process(target=wait_for_many)
    process.start()
    process.join()
    assert (process.exitcode, tries.value) == (0, 20 + 10)
    wait_for_many()
    assert tries.value == 20 + 10


def test_a_lease_that_is_given_back_at_once_is_waited_for_also_when_the_patience_is_spent() -> None:
    patience = Patience(0.01)
    with pytest.raises(BlockingIOError):
        patience.outlast(never)
    assert patience.outlast(lambda: 7) == 7


def never() -> int:
    raise BlockingIOError
