# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees at the edge of what a file system holds go through a whole backup and restore."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from backing_host import Host
from fast_place import fast_directory
from memory_storage import MemoryStorage
from seen_trees import tree_on_disk


@pytest.fixture(params=["", "the key"])
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    base = fast_directory()
    (base / "tree").mkdir()
    yield Host(base, MemoryStorage(), request.param)
    shutil.rmtree(base)


def back_up_and_restore(host: Host) -> None:
    """Twice, so that the second compares with the first; neither may differ from what is there."""
    for number, kind in enumerate(("full", "inc")):
        assert host.back_up(kind).warnings == ()
        host.restore(host.base / f"out{number}", host.clock)
        assert host.restored(host.base / f"out{number}") == tree_on_disk(host.tree)


def test_paths_far_beyond_what_the_kernel_takes_at_once(host: Host) -> None:
    directory = os.open(host.tree, os.O_RDONLY | os.O_DIRECTORY)
    for level in range(40):
        name = f"{level:03}" + "d" * 252
        os.mkdir(name, dir_fd=directory)
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=directory)
        os.setxattr(below, "user.level", b"%d" % level)
        file = os.open("file", os.O_WRONLY | os.O_CREAT, 0o640, dir_fd=directory)
        os.write(file, b"%d" % level)
        os.close(file)
        os.symlink("file", "link", dir_fd=directory)
        os.link("file", "name", src_dir_fd=directory, dst_dir_fd=directory)
        os.close(directory)
        directory = below
    os.close(directory)
    assert max(map(len, tree_on_disk(host.tree))) > 10_000
    back_up_and_restore(host)


def test_a_sparse_terabyte_takes_neither_time_nor_space(host: Host) -> None:
    path = host.tree / "sparse"
    with path.open("wb") as file:
        file.seek(1 << 39)
        file.write(b"in the middle of nowhere")
        file.truncate(1 << 40)
    os.utime(path, ns=(0, 1))
    result = host.back_up("full")
    assert (result.bytes_read < 1 << 20, result.bytes_stored < 1 << 20) == (True, True)
    host.restore(host.base / "out", host.clock)
    restored = host.base / "out" / path.relative_to("/")
    status = restored.stat()
    assert (status.st_size, status.st_mtime_ns) == (1 << 40, 1)
    assert status.st_blocks * 512 < 1 << 20
    with restored.open("rb") as file:
        file.seek(1 << 39)
        assert file.read(25) == b"in the middle of nowhere\0"


def test_many_names_of_one_file_and_every_awkward_name(host: Host) -> None:
    (host.tree / "first").write_text("content")
    awkward = [
        b"-",
        b"--help",
        b"\n",
        b"\xff\xfe",
        b" ",
        b"*",
        b"a\\",
        b"'\"",
        b"n" * 255,
        b"\x01\x7f",
        b"...",
        b"=2e",
    ]
    for name in awkward:
        os.link(host.tree / "first", os.path.join(os.fsencode(host.tree), name))
        os.mkdir(os.path.join(os.fsencode(host.tree), b"d" + name[:254]))
    back_up_and_restore(host)


def test_times_before_1970_and_after_2038_to_the_nanosecond(host: Host) -> None:
    for number, moment in enumerate(
        [-(1 << 31) * 10**9, -1, 0, 1, (1 << 31) * 10**9 + 999_999_999, (1 << 33) * 10**9]
    ):
        path = host.tree / f"{number}"
        path.touch()
        os.utime(path, ns=(0, moment))
    os.utime(host.tree, ns=(0, -5))
    back_up_and_restore(host)
