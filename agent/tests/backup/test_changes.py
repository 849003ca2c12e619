# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an incremental reads and stores, by what changed; and that nothing changed is missed."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from backing_host import Host
from memory_storage import MemoryStorage, MemoryWriter
from seen_trees import tree_on_disk

from papi_backup.engine.backup.chunk_index import ChunkIndex
from papi_backup.engine.backup.previous import PARENT_SEGMENTS, PreviousList
from papi_backup.engine.format.names import CATALOG
from papi_backup.engine.opened import WHOLE, PageReader
from papi_backup.engine.storage.directory import DirectoryStorage
from papi_backup.model.job import JobResult

TREE_BYTES = 3 << 20


def noise(size: int, seed: object = 0) -> bytes:
    return random.Random(str(seed)).randbytes(size)


@pytest.fixture
def host() -> Iterator[Host]:
    """A host with a full backup of a few files, one of them of many chunks.

    In a directory of its own: other tests change the mode of pytest's, and a directory above the
    sources with a new mode is saved anew.
    """
    base = Path(tempfile.mkdtemp(prefix="papi-changes-"))
    (base / "tree").mkdir()
    (base / "storage").mkdir()
    host = Host(base, lambda: DirectoryStorage(base / "storage"))
    (host.tree / "large").write_bytes(noise(TREE_BYTES))
    (host.tree / "sub").mkdir()
    for number in range(20):
        (host.tree / f"sub/{number}").write_bytes(noise(1000, number))
    host.back_up("full")
    yield host
    shutil.rmtree(base)


def settle() -> None:
    """Let the time pass in which a change could share its clock tick with a scan."""
    time.sleep(2.1)


def stored_data(host: Host) -> int:
    """Return the bytes of content that the newest backup wrote."""
    opened = host.opened()
    own = opened.entry.backup
    return sum(
        volume.size for volume in opened.manifest.volumes if volume.backup == own and volume.kind == "d"
    )


def run(host: Host) -> JobResult:
    """Run an incremental and check that it has everything as it is now."""
    result = host.back_up("inc")
    assert result.backup_type == "inc"
    assert host.saved() == tree_on_disk(host.tree)
    return result


def test_when_nothing_changed_nothing_is_read_and_almost_nothing_stored(host: Host) -> None:
    settle()
    run(host)
    result = run(host)
    assert result.bytes_read == 0
    assert result.bytes_stored < 2048
    assert result.files == 21


def test_what_changed_within_the_clocks_tick_is_read_again_and_stored_once(host: Host) -> None:
    result = run(host)
    assert result.bytes_read >= TREE_BYTES
    assert result.bytes_stored < 2048


def test_what_comes_and_goes_beside_the_sources_stores_nothing(host: Host) -> None:
    (host.base / "stranger").mkdir()
    assert run(host).bytes_stored < 2048


def test_a_new_mode_of_a_directory_above_the_sources_is_saved(host: Host) -> None:
    host.base.chmod(0o701)
    host.back_up("inc")
    leaves = PageReader(host.storage(), host.opened()).leaves()
    [mode] = [
        leaf.modes[row]
        for _page, leaf in leaves
        for row, path in enumerate(leaf.paths)
        if path == os.fsencode(host.base).lstrip(b"/")
    ]
    assert mode == 0o701


def test_same_size_same_mtime_other_content_is_found(host: Host) -> None:
    """As a restore from elsewhere or a clever tool would leave it: only ctime tells."""
    settle()
    run(host)
    path = host.tree / "sub/3"
    before = path.stat()
    path.write_bytes(noise(1000, "other"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert 0 < run(host).bytes_read < 2000


def _chmod(host: Host) -> None:
    (host.tree / "large").chmod(0o600)


def _touch(host: Host) -> None:
    os.utime(host.tree / "large", ns=(0, -1_500_000_000))


def _xattr(host: Host) -> None:
    os.setxattr(host.tree / "large", "user.note", b"value")


def _rename(host: Host) -> None:
    (host.tree / "large").rename(host.tree / "sub/renamed")


def _link(host: Host) -> None:
    (host.tree / "another").hardlink_to(host.tree / "large")


def _copy(host: Host) -> None:
    (host.tree / "copy").write_bytes((host.tree / "large").read_bytes())


def _delete(host: Host) -> None:
    (host.tree / "sub/7").unlink()


def _directory_mode(host: Host) -> None:
    (host.tree / "sub").chmod(0o700)


def _move_directory(host: Host) -> None:
    (host.tree / "sub").rename(host.tree / "moved")


@pytest.mark.parametrize(
    "change",
    [_chmod, _touch, _xattr, _rename, _link, _copy, _delete, _directory_mode, _move_directory],
)
def test_a_change_without_new_content_stores_no_content(host: Host, change: Callable[[Host], None]) -> None:
    change(host)
    result = run(host)
    assert stored_data(host) == 0
    assert result.bytes_stored < 8192


def test_appending_stores_little_more_than_what_was_appended(host: Host) -> None:
    with (host.tree / "large").open("ab") as file:
        file.write(noise(1000, "appended"))
    run(host)
    assert 1000 < stored_data(host) < 1_000_000  # the last chunk again, at most


def test_a_few_bytes_in_the_middle_store_a_chunk_or_two(host: Host) -> None:
    with (host.tree / "large").open("r+b") as file:
        file.seek(TREE_BYTES // 2)
        file.write(b"changed")
    run(host)
    assert 0 < stored_data(host) < 2_000_000


def test_a_file_that_became_a_directory_and_back_is_what_it_is(host: Host) -> None:
    (host.tree / "sub/5").unlink()
    (host.tree / "sub/5").mkdir()
    (host.tree / "sub/5/below").write_text("below")
    run(host)
    (host.tree / "sub/5/below").unlink()
    (host.tree / "sub/5").rmdir()
    (host.tree / "sub/5").symlink_to("6")
    run(host)
    (host.tree / "sub/5").unlink()
    (host.tree / "sub/5").write_text("again")
    run(host)


def test_what_comes_into_view_when_an_exclude_goes_is_saved(host: Host) -> None:
    host.excludes = ("sub/1*",)
    host.back_up("inc")
    assert b"sub/11" not in host.saved()
    host.excludes = ()
    run(host)


def test_what_died_is_left_behind_when_most_of_a_segment_is_dead(host: Host) -> None:
    """Survivors of segments less than half alive are stored anew, so that long chains restore fast."""
    for number in range(120):
        (host.tree / f"s{number:03}").write_bytes(noise(20_000, ("s", number)))
    (host.tree / "large").unlink()
    host.back_up("full")
    for number in range(120):
        if number % 12:
            (host.tree / f"s{number:03}").unlink()
    run(host)
    (host.tree / "trigger").write_text("one more run, which looks")
    result = run(host)
    opened = host.opened()
    own = {volume.backup for volume in opened.manifest.volumes if volume.kind == "d"}
    assert opened.entry.backup in own
    survivors = 10 * 20_000
    assert survivors <= stored_data(host) <= result.bytes_stored < 1.3 * survivors


class Interfering(MemoryStorage):
    """Does something to the source as the first segment of content is written: after the scan."""

    def __init__(self, interfere: Callable[[], None]) -> None:
        super().__init__()
        self._interfere: Iterator[Callable[[], None]] = iter([interfere])

    def create(self, name: str, size_hint: int = 0) -> MemoryWriter:
        if "/d/" in name:
            next(self._interfere, lambda: None)()
        return super().create(name, size_hint)


@pytest.fixture
def scanned(tmp_path: Path) -> Path:
    """A tree whose first file fills segments, so that others are read after storing began."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "0").write_bytes(noise(3 << 20))
    return tree


def test_a_hard_link_that_vanished_after_the_scan_is_read_by_its_other_name(
    tmp_path: Path, scanned: Path
) -> None:
    """As mail is delivered: a second name is made and the first removed."""
    for name in ("new", "other", "tmp"):
        (scanned / name).write_text(name)
    for name in ("new", "other", "tmp"):
        (scanned / f"z-{name}").hardlink_to(scanned / name)
    storage = Interfering(lambda: [(scanned / name).unlink() for name in ("new", "tmp")] and None)
    host = Host(tmp_path, storage)
    result = host.back_up("full")
    saved, there = host.saved(), tree_on_disk(scanned)
    assert {name: saved[name].content for name in there} == {name: there[name].content for name in there}
    assert result.warnings == ()


def test_files_that_vanish_after_the_scan_are_left_out_without_a_warning(
    tmp_path: Path, scanned: Path
) -> None:
    (scanned / "a").write_text("a")
    (scanned / "b").write_text("b")
    host = Host(tmp_path, Interfering((scanned / "a").unlink))
    result = host.back_up("full")
    assert set(host.saved()) == {b"", b"0", b"b"}
    assert (result.files, result.warnings) == (2, ())


def test_a_file_that_became_a_link_after_the_scan_is_saved_as_that_and_not_followed(
    tmp_path: Path, scanned: Path
) -> None:
    (scanned / "a").write_text("a")

    def swap() -> None:
        (scanned / "a").unlink()
        (scanned / "a").symlink_to("/etc/passwd")

    host = Host(tmp_path, Interfering(swap))
    result = host.back_up("full")
    assert host.saved()[b"a"] == tree_on_disk(scanned)[b"a"]
    assert result.warnings == ()


def test_a_file_that_grew_after_the_scan_is_saved_as_it_is_when_read(tmp_path: Path, scanned: Path) -> None:
    (scanned / "a").write_text("a")
    host = Host(tmp_path, Interfering(lambda: (scanned / "a").write_text("a much longer text") and None))
    host.back_up("full")
    saved, there = host.saved(), tree_on_disk(scanned)
    assert saved[b"a"] == there[b"a"]


def test_the_newest_state_is_under_the_name_of_the_catalog(host: Host) -> None:
    result = host.back_up("inc")
    assert CATALOG + result.high_water in host.object_names()
    assert result.backup_date == host.backups()[-1].date


def test_what_was_moved_is_known_to_whichever_helper_reads_it(tmp_path: Path) -> None:
    """More batches than helpers may have waiting, handed out while one of them still looks at the chain."""
    for name in ("tree", "storage"):
        (tmp_path / name).mkdir()
    host = Host(tmp_path, lambda: DirectoryStorage(tmp_path / "storage"), helpers=2)
    for number in range(3000):
        path = host.tree / f"{number // 300}/{number}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(noise(100, number))
    host.back_up("full")
    for directory in list(host.tree.iterdir()):
        directory.rename(directory.with_name(f"moved-{directory.name}"))
    result = run(host)
    assert result.files == 3000
    assert stored_data(host) == 0


class ToldChunks(ChunkIndex):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(multiprocessing.get_context("fork").Lock())
        self.told: list[tuple[bytes, tuple[int, int]]] = []

    def add_all(self, chunks: Iterable[tuple[bytes, tuple[int, int]]], expected: int = 0) -> None:
        del expected
        self.told.extend(chunks)


def test_holes_of_the_previous_list_are_no_chunks_not_even_the_first(tmp_path: Path) -> None:
    for name in ("tree", "storage"):
        (tmp_path / name).mkdir()
    host = Host(tmp_path, lambda: DirectoryStorage(tmp_path / "storage"))
    with (host.tree / "sparse").open("wb") as file:
        file.truncate(3 << 20)
    (host.tree / "written").write_bytes(noise(1000))
    host.back_up("full")
    index = ToldChunks()
    storage = host.storage()
    numbers = PreviousList(storage, host.opened(), None).chunks.fill(storage, index, WHOLE)
    index.close()
    assert [place for _chunk_id, place in index.told] == [(PARENT_SEGMENTS, 0)]
    assert [number for number, _segment in numbers] == [PARENT_SEGMENTS]
