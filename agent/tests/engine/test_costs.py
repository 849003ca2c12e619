# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What jobs cost in bytes, requests, kernel calls and function calls stays within recorded bounds.

Wall time plays no part, so a busy machine changes nothing.  A bound is what was measured, with some room
for the chance in where chunks and pages are cut (docs/development.md, "Where the time goes").  A change that
costs less lowers the bound; one that must cost more raises it and says why in its commit.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from backing_host import Host
from counted_costs import Cost, CountingStorage, cost_of
from fast_place import fast_directory

from papi_backup.engine.backup.previous import RACY_NANOSECONDS

FEW, MANY = 500, 1500
MORE = MANY - FEW
EVERY = 100
"""One file of so many is changed."""
MEBIBYTE = 1 << 20
LARGE = 24
"""Size of the large file, in mebibytes."""


@dataclass(frozen=True)
class Bound:
    """The most a job may take.

    For each file more: calls into the kernel, calls of functions.  As a whole: requests to the storage,
    bytes stored beyond the contents.
    """

    kernel: float
    calls: float
    requests: int
    stored: int


RECORDED = {
    "full": Bound(kernel=7.05, calls=130, requests=6, stored=70_000),
    "unchanged": Bound(kernel=1.05, calls=13, requests=5, stored=1_100),
    "changed": Bound(kernel=1.15, calls=50, requests=8, stored=45_000),
    "restore": Bound(kernel=7.05, calls=115, requests=8, stored=0),
}


def content(number: int) -> bytes:
    """Return what file ``number`` holds: bytes that do not compress, the same in each run."""
    return random.Random(number).randbytes(100 + number % 200)


@pytest.fixture
def place() -> Iterator[Host]:
    base = fast_directory()
    yield Host(base, CountingStorage(), "the key")
    shutil.rmtree(base)


def files_of(host: Host, files: int) -> list[Path]:
    """Return the paths of the host's small files."""
    return [host.tree / f"{number % 10}.d" / f"{number}.conf" for number in range(files)]


def write_files(host: Host, files: int) -> None:
    """Make the host's small files."""
    for number, path in enumerate(files_of(host, files)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(number))


def costs_of_jobs(host: Host, files: int) -> dict[str, Cost]:
    """Back up, back up again, change one file of a hundred, back up, restore."""
    storage = host.opener
    assert isinstance(storage, CountingStorage)
    costs = {
        "full": cost_of(lambda: host.back_up("full"), storage),
        "unchanged": cost_of(host.back_up, storage),
    }
    for number, path in enumerate(files_of(host, files)[::EVERY]):
        path.write_bytes(content(files + number))
    costs["changed"] = cost_of(host.back_up, storage)
    costs["restore"] = cost_of(lambda: host.restore(host.base / "out", host.clock), storage)
    return costs


@pytest.fixture
def measured(place: Host) -> tuple[dict[str, Cost], dict[str, Cost]]:
    few, many = (Host(place.base / name, CountingStorage(), place.key) for name in ("few", "many"))
    write_files(few, FEW)
    write_files(many, MANY)
    time.sleep(RACY_NANOSECONDS / 1e9)  # younger files are read again to be sure
    return costs_of_jobs(few, FEW), costs_of_jobs(many, MANY)


def test_small_files_cost_what_they_did(measured: tuple[dict[str, Cost], dict[str, Cost]]) -> None:
    few, many = measured
    contents = {
        "full": sum(len(content(number)) for number in range(MANY)),
        "changed": sum(len(content(MANY + number)) for number in range(MANY // EVERY)),
    }
    over = []
    for job, bound in RECORDED.items():
        kernel, calls = many[job].per_file(few[job], MORE)
        beyond = many[job].stored - contents.get(job, 0)
        for what, cost, most in (
            ("kernel calls a file", kernel, bound.kernel),
            ("calls a file", calls, bound.calls),
            ("requests", many[job].requests, bound.requests),
            ("bytes stored beyond the contents", beyond, bound.stored),
        ):
            print(f"{job}: {what} {cost:.2f}, recorded {most}")
            if cost > most:
                over.append(f"{job}: {what} {cost:.2f} > {most}")
    assert over == []


def test_a_large_file_costs_what_it_did(place: Host) -> None:
    storage = place.opener
    assert isinstance(storage, CountingStorage)
    place.tree.mkdir()
    (place.tree / "large").write_bytes(random.Random(1).randbytes(LARGE * MEBIBYTE))
    full = cost_of(lambda: place.back_up("full"), storage)
    with (place.tree / "large").open("r+b") as file:
        file.seek(LARGE * MEBIBYTE // 2)
        file.write(bytes(4096))
        file.seek(0, os.SEEK_END)
        file.write(random.Random(2).randbytes(MEBIBYTE))
    changed = cost_of(place.back_up, storage)
    restore = cost_of(lambda: place.restore(place.base / "out", place.clock), storage)
    print(full, changed, restore, sep="\n")
    assert full.stored <= 1.015 * LARGE * MEBIBYTE, "segments are filled up to multiples of 16 KiB"
    assert changed.stored <= 3 * MEBIBYTE, "the appended mebibyte and the chunks around both changes"
    assert full.calls / LARGE <= 720
    assert restore.calls / LARGE <= 720
    assert restore.requests <= 2 * LARGE


def test_the_counters_see_a_call_a_file_more(place: Host) -> None:
    storage = place.opener
    assert isinstance(storage, CountingStorage)
    place.tree.mkdir()
    plain = cost_of(lambda: [place.tree.stat()], storage)
    twice = cost_of(lambda: [place.tree.stat(), os.lstat(place.tree), storage.list("")], storage)
    assert (plain.kernel, twice.kernel, plain.requests, twice.requests) == (1, 2, 0, 1)
