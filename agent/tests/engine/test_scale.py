# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an incremental stores when little changed in much."""

from __future__ import annotations

import multiprocessing
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import pytest
from backing_host import Host
from fast_place import fast_directory

from papi_backup.engine.opened import PageReader
from papi_backup.engine.storage.directory import DirectoryStorage
from papi_backup.engine.storage.protocol import ObjectWriter
from papi_backup.model.job import JobResult

MEBIBYTE = 1 << 20
pytestmark = pytest.mark.slow


@pytest.fixture
def host() -> Iterator[Host]:
    base = fast_directory()
    for name in ("tree", "storage"):
        (base / name).mkdir()
    yield Host(base, lambda: DirectoryStorage(base / "storage"), "the key", file_size=32, helpers=2)
    shutil.rmtree(base)


def tell(what: str, result: JobResult) -> None:
    """Print a measured figure; pytest shows it with -s or -rP."""
    print(f"\n{what}: {result.bytes_stored:,} bytes stored, {result.bytes_read:,} read")


def make_files(tree: Path, count: int) -> None:
    for number in range(count):
        directory = tree / f"{number // 1000:03}"
        if not number % 1000:
            directory.mkdir(parents=True)
        (directory / f"file {number:06}").write_bytes(b"%d" % number)


@pytest.mark.parametrize(
    ("files", "most"), [(20_000, 200 << 10), pytest.param(100_000, MEBIBYTE, marks=pytest.mark.whole)]
)
def test_ten_changed_files_among_many_store_less_than_a_mebibyte_besides_their_data(
    host: Host, files: int, most: int
) -> None:
    make_files(host.tree, files)
    tell(f"full backup of {files:,} files", host.back_up("full"))
    data = 0
    for number in range(0, files, files // 10):
        changed = random.Random(number).randbytes(5000)
        (host.tree / f"{number // 1000:03}/file {number:06}").write_bytes(changed)
        data += len(changed)
    result = host.back_up("inc")
    tell("incremental, 10 files of 5,000 bytes changed", result)
    assert (result.backup_type, result.files) == ("inc", files)
    assert result.bytes_stored - data < most
    unchanged = host.back_up("inc")
    tell("incremental, nothing changed", unchanged)
    assert unchanged.bytes_stored < 4096


def test_one_byte_inserted_at_the_front_of_200_megabytes_stores_less_than_8_mebibytes(host: Host) -> None:
    content = random.Random(1).randbytes(200_000_000)
    path = host.tree / "large"
    path.write_bytes(content)
    tell("full backup of 200 MB", host.back_up("full"))
    path.write_bytes(b"x" + content)
    result = host.back_up("inc")
    tell("incremental, one byte inserted at the front", result)
    assert result.backup_type == "inc"
    assert result.bytes_stored < 8 * MEBIBYTE


def resident(field: str) -> int:
    """Return VmRSS or VmHWM (the most there was) of this process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) << 10
    raise AssertionError(field)


def memory_of_backups(host: Host, files: int, answer: Connection) -> None:
    """Tell by how much a full backup and an incremental, one file in a hundred changed, grow a process."""
    make_files(host.tree, files)
    for kind in ("full", "inc"):
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
        before = resident("VmRSS")
        result = host.back_up("full" if kind == "full" else "inc")
        assert result.backup_type == kind
        answer.send(resident("VmHWM") - before)
        for number in range(0, files, 100):
            (host.tree / f"{number // 1000:03}/file {number:06}").write_bytes(b"changed %d" % number)
    answer.close()


def measured_memory(base: Path, files: int) -> tuple[int, int]:
    """Return what :func:`memory_of_backups` tells, from a process of its own."""
    for name in ("tree", "storage"):
        (base / name).mkdir(parents=True)
    host = Host(base, lambda: DirectoryStorage(base / "storage"), "the key", file_size=32, helpers=2)
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=memory_of_backups, args=(host, files, theirs))
    process.start()
    theirs.close()
    full, incremental = ours.recv(), ours.recv()
    process.join()
    print(f"\n{files:,} files: a full grows the process by {full:,} bytes, an incremental by {incremental:,}")
    return full, incremental


def test_memory_of_a_backup_hardly_grows_with_the_number_of_files() -> None:
    base = fast_directory()
    try:
        small_full, small_incremental = measured_memory(base / "small", 25_000)
        large_full, large_incremental = measured_memory(base / "large", 100_000)
    finally:
        shutil.rmtree(base)
    assert large_full - small_full < 16 * MEBIBYTE
    assert large_incremental - small_incremental < 16 * MEBIBYTE


def segments_of(host: Host, name: str) -> set[object]:
    """Return the segments of the newest backup that hold the files of that name."""
    found: set[object] = set()
    reader = PageReader(host.storage(), host.opened())
    for _page, leaf in reader.leaves():
        for row, path in enumerate(leaf.paths):
            if path.endswith(b"/" + name.encode()):
                found.update(item.segment for item in leaf.items(row))
    return found


class SlowToSeal(DirectoryStorage):
    """A storage that takes its time over each volume of contents."""

    def create(self, name: str, size_hint: int = 0) -> ObjectWriter:
        if "/d/" in name:
            time.sleep(1)
        return super().create(name, size_hint)


@pytest.mark.parametrize("storage", [DirectoryStorage, SlowToSeal])
def test_changes_far_apart_in_the_tree_do_not_share_a_segment(
    host: Host, storage: type[DirectoryStorage]
) -> None:
    groups = 4
    for group in range(groups):
        directory = host.tree / f"group {group}"
        make_files(directory, 1500)
        (directory / "changing").write_bytes(b"before %d" % group)
        with (directory / "large").open("wb") as sparse:
            sparse.truncate(100 * MEBIBYTE)
    host.back_up("full")
    assert len(segments_of(host, "changing")) <= 2
    for group in range(groups):
        (host.tree / f"group {group}" / "changing").write_bytes(b"after %d" % group)
    result = host.back_up("inc", opener=lambda: storage(host.base / "storage"))
    assert result.backup_type == "inc"
    assert len(segments_of(host, "changing")) == groups


@pytest.mark.parametrize(("processes", "most"), [pytest.param(1, 1.1, marks=pytest.mark.whole), (2, 1.2)])
def test_what_a_restore_fetches_is_little_more_than_what_is_stored(
    host: Host, processes: int, most: float
) -> None:
    sizes = random.Random(3)
    for number in range(12_000):
        path = host.tree / f"{number // 60:03}" / f"{number}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(sizes.randbytes(sizes.randrange(1000, 30_000)))
    fetched = []
    for turn in range(3):  # which process reads or restores what is chance
        saved = host.back_up("full")
        restored = replace(host, helpers=processes).restore(host.base / f"out {turn}", host.clock)
        fetched.append(restored.size_transferred / saved.bytes_stored)
    print("\nof what was stored was fetched:", *(f"{share:.3f}" for share in fetched))
    assert median(fetched) < most
