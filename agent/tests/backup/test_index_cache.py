# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The local copy of the previous list is only ever a cache: whatever becomes of it, backups are the same."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from backing_host import Host
from seen_trees import tree_on_disk

from papi_backup.engine.backup.cache import IndexCache
from papi_backup.engine.storage.directory import DirectoryStorage
from papi_backup.engine.storage.faults import FaultyStorage


@pytest.fixture(params=["", "key"])
def host(request: pytest.FixtureRequest, host: Host) -> Host:
    """A host with a full backup of enough files for several pages."""
    host.key = request.param
    for number in range(1500):
        (host.tree / f"{number}").write_text(f"{number}")
    host.back_up("full")
    return host


def copies(host: Host) -> list[Path]:
    return [path for path in host.cache_dir.rglob("*") if path.is_file()]


def fetched_index_bytes(host: Host) -> int:
    """Back up and return how often an index volume was read from the storage."""
    storage = FaultyStorage(DirectoryStorage(host.base / "storage"))
    host.back_up("inc", opener=lambda: storage)
    return sum(1 for method, name in storage.calls if method == "get" and "/i/" in name)


def _deleted(host: Host) -> None:
    shutil.rmtree(host.cache_dir)


def _truncated(host: Host) -> None:
    for path in copies(host):
        path.write_bytes(path.read_bytes()[:100])


def _empty(host: Host) -> None:
    for path in copies(host):
        path.write_bytes(b"")


def _garbage(host: Host) -> None:
    for path in copies(host):
        path.write_bytes(b"\xa5" * path.stat().st_size)


def _one_bit(host: Host) -> None:
    for path in copies(host):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)


def _of_another_backup(host: Host) -> None:
    """The copies of another chain under the names of this one's."""
    other = replace(host, base=host.base / "other", paths=(str(host.tree),), chain_keys={})
    (host.base / "other/storage").mkdir(parents=True)
    other.opener = lambda: DirectoryStorage(host.base / "other/storage")
    other.back_up("full")
    for path, stranger in zip(copies(host), copies(other), strict=True):
        shutil.copy(stranger, path)


def _a_file_in_place_of_the_directory(host: Host) -> None:
    shutil.rmtree(host.cache_dir)
    host.cache_dir.write_text("no directory")


def _directories_in_place_of_files(host: Host) -> None:
    for path in copies(host):
        path.unlink()
        path.mkdir()


@pytest.mark.parametrize(
    "spoil",
    [
        _deleted,
        _truncated,
        _empty,
        _garbage,
        _one_bit,
        _of_another_backup,
        _a_file_in_place_of_the_directory,
        _directories_in_place_of_files,
    ],
)
def test_a_spoilt_cache_changes_nothing_but_what_is_fetched(
    host: Host, spoil: Callable[[Host], None]
) -> None:
    (host.tree / "7").write_text("changed")
    spoil(host)
    result = host.back_up("inc")
    assert (result.backup_type, result.warnings) == ("inc", ())
    assert host.saved() == tree_on_disk(host.tree)
    assert result.bytes_stored < 100_000


def test_with_a_sound_cache_no_index_is_fetched(host: Host) -> None:
    assert fetched_index_bytes(host) == 0
    assert fetched_index_bytes(host) == 0
    assert host.saved() == tree_on_disk(host.tree)


def test_a_lost_cache_is_filled_again_by_the_next_backup(host: Host) -> None:
    _deleted(host)
    assert fetched_index_bytes(host) > 0
    assert fetched_index_bytes(host) == 0


def test_copies_of_what_no_list_needs_any_more_are_deleted(host: Host) -> None:
    for _round in range(3):
        host.back_up("full")
    newest = host.backups()[-1]
    assert {path.name.split("-")[0] for path in copies(host)} == {newest.chain}


def test_the_cache_is_for_its_owner_only(host: Host) -> None:
    assert {path.stat().st_mode & 0o077 for path in copies(host)} == {0}
    assert {path.parent.stat().st_mode & 0o077 for path in copies(host)} == {0}


def test_two_storages_never_share_a_cache(tmp_path: Path) -> None:
    volume = "data/h/n/00/11/i/0/0"
    one = IndexCache(str(tmp_path), "ssh://one", "h", "n")
    two = IndexCache(str(tmp_path), "ssh://two", "h", "n")
    one.store(volume, 0, b"sealed")
    assert one.load(volume, 0, 6) == b"sealed"
    assert one.load(volume, 0, 7) is None
    assert two.load(volume, 0, 6) is None


VOLUME = "data/h/n/00/11/i/0/0"
FOREIGN = 54321
Spoil = Callable[[Path, Path], None]
"""Spoils the copy of a volume; the second path is a file that is none of the cache's business."""


def _link_to_another(copy: Path, other: Path) -> None:
    copy.unlink()
    copy.symlink_to(other)


def _directory_that_is_a_link(copy: Path, other: Path) -> None:
    copy.parent.rename(other.parent / "moved")
    copy.parent.symlink_to(other.parent / "moved")
    shutil.copy(other, other.parent / "moved" / copy.name)


def _of_somebody_else(copy: Path, other: Path) -> None:
    shutil.copy(other, copy)
    os.chown(copy, FOREIGN, FOREIGN)


def _that_others_may_write(copy: Path, other: Path) -> None:
    shutil.copy(other, copy)
    copy.chmod(0o602)


def _fifo(copy: Path, _other: Path) -> None:
    copy.unlink()
    os.mkfifo(copy, 0o600)


SPOILED: list[Spoil] = [
    _link_to_another,
    _directory_that_is_a_link,
    _of_somebody_else,
    _that_others_may_write,
    _fifo,
]


@pytest.mark.root
@pytest.mark.parametrize("spoil", SPOILED, ids=[spoil.__name__.strip("_") for spoil in SPOILED])
def test_a_copy_that_others_could_have_put_there_is_neither_read_nor_written(
    tmp_path: Path, spoil: Spoil
) -> None:
    cache = IndexCache(str(tmp_path / "cache"), "ssh://one", "h", "n")
    other = tmp_path / "other"
    other.write_bytes(b"foreign")
    cache.store(VOLUME, 0, b"sealed!")
    (copy,) = (path for path in (tmp_path / "cache").rglob("*") if path.is_file())
    spoil(copy, other)
    assert cache.load(VOLUME, 0, 7) is None
    cache.store(VOLUME, 0, b"another")
    assert other.read_bytes() == b"foreign"
    assert not copy.is_file() or copy.read_bytes() == b"foreign"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], ids=oct)
def test_the_modes_of_the_cache_do_not_depend_on_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        IndexCache(str(tmp_path / "cache"), "ssh://one", "h", "n").store(VOLUME, 0, b"sealed")
    finally:
        os.umask(before)
    found = [tmp_path / "cache", *(tmp_path / "cache").rglob("*")]
    assert {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in found} == {
        (True, 0o700),
        (False, 0o600),
    }
