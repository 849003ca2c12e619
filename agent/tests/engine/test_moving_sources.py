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
