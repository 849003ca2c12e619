# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources that move under a backup, and answers larger than a pipe: nothing is mixed up or stuck."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from backing_host import Host

from papi_backup.engine.storage.directory import DirectoryStorage
from papi_backup.engine.storage.protocol import ObjectWriter


class ReplacingStorage(DirectoryStorage):
    """Replaces one name of a hard-linked file when the first volume is begun: between scan and read."""

    def __init__(self, root: Path, victim: Path) -> None:
        super().__init__(root)
        self._victim = victim

    def create(self, name: str, size_hint: int = 0) -> ObjectWriter:
        if "/d/" in name and self._victim.stat().st_nlink > 1:
            new = self._victim.with_name("zz-new")
            new.write_bytes(b"another file")
            new.replace(self._victim)
        return super().create(name, size_hint)


def test_a_hard_link_replaced_before_it_is_read_does_not_lend_its_content_to_the_other_names(
    tmp_path: Path,
) -> None:
    (tmp_path / "storage").mkdir()
    victim = tmp_path / "tree" / "name-1"
    host = Host(tmp_path, lambda: ReplacingStorage(tmp_path / "storage", victim))
    host.tree.mkdir()
    (host.tree / "0-read-first").write_bytes(os.urandom(3 << 20))
    victim.write_bytes(b"the file of both names")
    (host.tree / "name-2").hardlink_to(victim)

    host.back_up("full")

    restored = tmp_path / "restored"
    restored.mkdir()
    host.restore(restored, host.clock)
    there = restored / host.tree.relative_to("/")
    assert (there / "name-2").read_bytes() == b"the file of both names"
    assert (there / "name-1").read_bytes() == b"another file"
    assert (there / "name-1").stat().st_nlink == 1


class ReusingStorage(DirectoryStorage):
    """Deletes a hard-linked file once it was read and lets another get its inode number."""

    def __init__(self, root: Path, tree: Path) -> None:
        super().__init__(root)
        self._tree = tree
        self.reused = False

    def create(self, name: str, size_hint: int = 0) -> ObjectWriter:
        first = self._tree / "a" / "name-1"
        if "/d/" in name and first.exists():
            inode = first.stat().st_ino
            first.unlink()
            (self._tree / "a" / "name-2").unlink()
            for number in range(4_000):
                path = self._tree / "z" / f"file-{number}"
                path.write_bytes(b"public")
                if path.stat().st_ino == inode:
                    path.with_name("link").hardlink_to(path)
                    self.reused = True
                    break
        return super().create(name, size_hint)


def test_an_inode_number_used_again_during_the_walk_is_another_file(tmp_path: Path) -> None:
    (tmp_path / "storage").mkdir()
    storage = ReusingStorage(tmp_path / "storage", tmp_path / "tree")
    host = Host(tmp_path, lambda: storage)
    (host.tree / "a").mkdir(parents=True)
    (host.tree / "z").mkdir()
    (host.tree / "a" / "name-1").write_bytes(b"secret")
    (host.tree / "a" / "name-2").hardlink_to(host.tree / "a" / "name-1")
    for number in range(300):  # more than a batch, so that the first is read before the walk goes on
        (host.tree / "b" / str(number)).parent.mkdir(exist_ok=True)
        (host.tree / "b" / str(number)).write_bytes(os.urandom(1 << 14))

    host.back_up("full")

    restored = tmp_path / "restored"
    restored.mkdir()
    host.restore(restored, host.clock)
    there = restored / host.tree.relative_to("/") / "z"
    assert {path.read_bytes() for path in there.iterdir()} <= {b"public"}


def test_a_path_too_long_for_the_list_costs_the_backup_only_that_path(tmp_path: Path) -> None:
    """A local user must not be able to make a host's backups unrestorable."""
    (tmp_path / "storage").mkdir()
    host = Host(tmp_path, lambda: DirectoryStorage(tmp_path / "storage"))
    host.tree.mkdir()
    (host.tree / "kept").write_bytes(b"content")
    place = os.open(host.tree, os.O_RDONLY)
    for name in [b"\xff" * 250] * 140:
        os.mkdir(name, dir_fd=place)
        deeper = os.open(name, os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = deeper
    os.close(place)

    result = host.back_up("full")

    assert any("longer than" in warning for warning in result.warnings)
    restored = tmp_path / "restored"
    restored.mkdir()
    host.restore(restored, host.clock)
    assert (restored / host.tree.relative_to("/") / "kept").read_bytes() == b"content"


@pytest.fixture
def deadline() -> Iterator[None]:
    def give_up(number: int, frame: object) -> None:
        raise TimeoutError("job and helper wait for each other")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.slow
@pytest.mark.usefixtures("deadline")
def test_questions_and_answers_larger_than_a_pipe_at_once_do_not_block_each_other(tmp_path: Path) -> None:
    (tmp_path / "storage").mkdir()
    host = Host(tmp_path, lambda: DirectoryStorage(tmp_path / "storage"), helpers=2)
    host.tree.mkdir()
    with (host.tree / "0-extents").open("wb") as sparse:
        for extent in range(30_000):
            sparse.seek(extent * 16_384)
            sparse.write(b"%d" % extent)
    deep = host.tree.joinpath(*["d" * 200] * 14)
    deep.mkdir(parents=True)
    for number in range(2_000):
        (deep / str(number)).write_bytes(b"%d" % number)

    result = host.back_up("full")

    assert result.files == 2_001
