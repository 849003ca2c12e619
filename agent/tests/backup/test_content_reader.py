# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading one file: exact whatever its size, and never blocked or fooled by what the file does."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest
from reader_bench import CAP, CHUNKER, FILE_SIZE, Bench

from papi_backup.engine.backup import content as content_module
from papi_backup.engine.backup.files import Xattrs
from papi_backup.model.sizes import MEBIBYTE


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.index.close()


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


_BOUNDS = {
    "nothing": 0,
    "a byte": 1,
    "chunk minimum": CHUNKER.minimum,
    "chunk average": CHUNKER.average,
    "chunk maximum and segment": CAP,
    "volume": FILE_SIZE,
    "two segments": 2 * CAP,
    "read buffer": 8 * MEBIBYTE,
}


@pytest.mark.parametrize("bound", _BOUNDS)
@pytest.mark.parametrize("more", [-1, 0, 1])
@pytest.mark.parametrize("make", [noise, bytes], ids=["incompressible", "zeros"])
def test_every_size_comes_back_exactly(
    tmp_path: Path, bench: Bench, bound: str, more: int, make: Callable[[int], bytes]
) -> None:
    content = make(max(_BOUNDS[bound] + more, 0))
    path = tmp_path / "file"
    path.write_bytes(content)
    file = bench.read(path)
    assert bench.stored(file) == content
    assert (file.error, file.changed, file.bytes_read) == ("", False, len(content))
    assert file.facts is not None
    assert file.facts.size == len(content)
    assert max((piece.length for piece in file.pieces), default=0) <= CAP
    assert max(map(len, bench.storage.objects.values()), default=0) <= FILE_SIZE


def test_a_content_met_again_is_stored_once(tmp_path: Path, bench: Bench) -> None:
    content = noise(3 * MEBIBYTE)
    (tmp_path / "a").write_bytes(content)
    (tmp_path / "b").write_bytes(content)
    assert bench.read(tmp_path / "a").pieces == bench.read(tmp_path / "b").pieces
    bench.segments.finish()
    assert sum(map(len, bench.storage.objects.values())) < len(content) * 1.05


def test_each_file_of_a_batch_gets_its_own_content(tmp_path: Path, bench: Bench) -> None:
    """Small ones wait to be stored together; what lies between them does not move them."""
    rng = random.Random(7)
    sizes = [0, 1, 100, CHUNKER.minimum - 1, CHUNKER.minimum, CHUNKER.minimum + 1, CAP + 1]
    paths = [tmp_path / f"{number:03}" for number in range(120)]
    for path in paths:
        kind = rng.randrange(10)
        if kind == 0:
            path.mkdir()
        elif kind > 1:  # else it has vanished
            path.write_bytes(noise(rng.choice(sizes), rng.randrange(3)))
    files = bench.read_all(paths)
    assert len(files) == len(paths)
    for path, file in zip(paths, files, strict=True):
        if path.is_file():
            assert file.facts is not None
            assert file.facts.inode == path.stat().st_ino
            assert bench.stored(file) == path.read_bytes()
            assert file.bytes_read == path.stat().st_size
        else:
            assert (file.facts, file.vanished) == (None, not path.exists())
    stored = sum(map(len, bench.storage.objects.values()))
    assert stored < 1.1 * 3 * sum(sizes)


@pytest.mark.parametrize(
    ("extents", "size"),
    [
        ([(0, 100)], 10 * MEBIBYTE),
        ([(MEBIBYTE, 4096)], 2 * MEBIBYTE),
        ([(5 * MEBIBYTE - 1, 1)], 5 * MEBIBYTE),
        ([(0, 1), (3 * MEBIBYTE, 2 * MEBIBYTE), (9 * MEBIBYTE, 5)], 20 * MEBIBYTE),
        ([], 1 << 40),
        ([(1 << 39, 10)], 1 << 40),
    ],
)
def test_holes_are_told_and_not_read(
    tmp_path: Path, bench: Bench, extents: list[tuple[int, int]], size: int
) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        for start, length in extents:
            file.seek(start)
            file.write(noise(length, start))
        file.truncate(size)
    read = bench.read(path)
    assert sum(piece.length for piece in read.pieces) == size
    written = sum(length for _start, length in extents)
    assert read.bytes_read <= written + 2 * 65536 * max(len(extents), 1)
    assert not read.changed
    if size < 1 << 30:
        assert bench.stored(read) == path.read_bytes()


def test_a_file_that_vanished_is_no_error(tmp_path: Path, bench: Bench) -> None:
    file = bench.read(tmp_path / "gone")
    assert (file.facts, file.vanished) == (None, True)
    assert bench.read(tmp_path / "gone" / "below").vanished


def _to_fifo(path: Path) -> None:
    os.mkfifo(path)


def _to_link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def _to_directory(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("become", [_to_fifo, _to_link, _to_directory])
def test_what_became_something_else_since_the_scan_neither_blocks_nor_is_followed(
    tmp_path: Path, bench: Bench, become: Callable[[Path], None]
) -> None:
    become(tmp_path / "file")
    file = bench.read(tmp_path / "file")
    assert (file.facts, list(file.pieces), file.vanished, file.error) == (None, [], False, "")
    assert file.instead is not None
    assert file.instead.inode == (tmp_path / "file").lstat().st_ino
    assert file.instead.link_target == (b"/etc/passwd" if become is _to_link else b"")


def test_what_became_a_socket_since_the_scan_is_left_out_as_sockets_are(
    tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's name is at most 108 bytes
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("file")
        file = bench.read(tmp_path / "file")
    assert (file.facts, file.instead, file.vanished) == (None, None, True)


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that every user may enter."""
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


def test_a_file_that_may_not_be_read_says_why(public: Path, bench: Bench) -> None:
    path = public / "secret"
    path.write_text("secret")
    path.chmod(0)
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    try:
        file = bench.read(path)
    finally:
        os.seteuid(was)
    assert (file.facts, file.vanished, file.error) == (None, False, "Permission denied")


def change_while_read(bench: Bench, path: Path, times: int, how: Callable[[Path], None]) -> None:
    """Have the file changed at each of the next ``times`` chunks that the reader meets."""
    rest = itertools.chain([how] * times, itertools.repeat(lambda _path: None))
    bench.index.before_find = lambda: next(rest)(path)


def _grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _shrink(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1000)


def _overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-10, os.SEEK_END)
        file.write(b"0123456789")
    os.utime(path, ns=(0, random.Random(path.stat().st_mtime_ns).randrange(1 << 60)))


def _change_mode(path: Path) -> None:
    path.chmod(path.stat().st_mode ^ 0o100)


def _replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"new")
    other.rename(path)


_CHANGES = [_grow, _shrink, _overwrite, _change_mode, _replace]


@pytest.mark.parametrize("how", _CHANGES)
def test_a_file_that_changes_while_it_is_read_is_read_once_more(
    tmp_path: Path, bench: Bench, how: Callable[[Path], None]
) -> None:
    path = tmp_path / "file"
    path.write_bytes(noise(10 * MEBIBYTE))
    descriptor = os.open(path, os.O_RDONLY)
    change_while_read(bench, path, 1, how)
    file = bench.read(path)
    assert not file.changed
    assert file.facts is not None
    stored = bench.stored(file)
    assert stored == os.pread(descriptor, 11 * MEBIBYTE, 0)
    assert file.facts.size == len(stored)
    assert file.facts.mtime_ns == os.fstat(descriptor).st_mtime_ns
    assert file.bytes_read > len(stored)
    os.close(descriptor)


def _overwrite_at_once(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"new")


@pytest.mark.parametrize("how", [_grow, _shrink, _overwrite, _overwrite_at_once, _change_mode])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_small_file_that_changes_while_it_is_read_is_saved_as_it_is_then_or_marked(
    tmp_path: Path, bench: Bench, how: Callable[[Path], None], times: int
) -> None:
    """Its attributes are asked for between the first look at it and its content."""
    path = tmp_path / "file"
    path.write_bytes(noise(5000))
    os.utime(path, ns=(0, 0))
    rest = itertools.chain([how] * times, itertools.repeat(lambda _path: None))
    ask = content_module.read_xattrs

    def asked(target: int | bytes) -> Xattrs:
        next(rest)(path)
        return ask(target)

    with mock.patch.object(content_module, "read_xattrs", asked):
        file = bench.read(path)
    assert file.facts is not None
    assert file.changed == (times == 3)  # staged, read, read once more: three looks in all
    assert path.read_bytes().startswith(bench.stored(file))
    assert file.changed or file.facts.size == path.stat().st_size
    assert file.facts.ctime_ns == path.stat().st_ctime_ns


@pytest.mark.parametrize("how", _CHANGES[:4])
def test_a_file_that_never_rests_is_taken_as_it_was_and_marked(
    tmp_path: Path, bench: Bench, how: Callable[[Path], None]
) -> None:
    path = tmp_path / "file"
    path.write_bytes(noise(10 * MEBIBYTE))
    change_while_read(bench, path, 1000, how)
    file = bench.read(path)
    assert file.changed
    assert file.facts is not None
    assert file.facts.size == len(bench.stored(file))


def test_reading_leaves_the_access_time_alone(tmp_path: Path, bench: Bench) -> None:
    path = tmp_path / "file"
    path.write_text("content")
    os.utime(path, (1, 1_000_000_000))
    bench.read(path)
    assert path.stat().st_atime == 1


def test_attributes_come_with_the_file(tmp_path: Path, bench: Bench) -> None:
    path = tmp_path / "file"
    path.write_text("content")
    os.setxattr(path, "user.name", b"\x00\xffvalue")
    os.setxattr(path, "user.empty", b"")
    assert bench.read(path).xattrs == {b"user.name": b"\x00\xffvalue", b"user.empty": b""}


def test_a_file_that_never_stops_growing_is_read_to_an_end(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(random.Random(1).randbytes(5 * MEBIBYTE))

    def grow() -> None:
        with path.open("ab") as log:
            log.write(bytes(2 * MEBIBYTE))

    bench.index.before_find = grow
    file = bench.read(path)
    assert file.changed
    assert file.facts is not None
    assert file.facts.size == sum(piece.length for piece in file.pieces)
    assert file.facts.size < path.stat().st_size
