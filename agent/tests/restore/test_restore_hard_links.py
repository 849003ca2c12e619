# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hard links whose first name cannot be put in its place: who is to blame, and who gets the content."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from interposed import InterposingOpener
from restoring import RestoringHost, flip

from papi_backup.engine.restore.job import run_restore
from papi_backup.model.errors import CorruptedBackupError, TransferError

CONTENT = b"one file, three names"


@pytest.fixture
def linked(host: RestoringHost) -> RestoringHost:
    """A backup of one file with three names."""
    (host.tree / "A1").write_bytes(CONTENT)
    for name in ("A2", "A3"):
        os.link(host.tree / "A1", host.tree / name)
    (host.tree / "other").write_bytes(b"other")
    host.back_up()
    return host


def block(host: RestoringHost, out: Path, *names: str) -> None:
    """Put directories that are not empty where files belong."""
    for name in names:
        (host.restored(out) / name / "mine").mkdir(parents=True)


def test_another_name_gets_the_content_of_a_first_that_is_blocked(linked: RestoringHost, out: Path) -> None:
    block(linked, out, "A1")
    with pytest.raises(TransferError, match=r"1 entry could not be put in place: .*A1 is a directory"):
        linked.restore(linked.order(out))
    assert (linked.restored(out) / "A2").read_bytes() == CONTENT
    assert (linked.restored(out) / "A3").samefile(linked.restored(out) / "A2")
    assert (linked.restored(out) / "A2").stat().st_nlink == 2


def test_the_last_name_gets_it_when_all_others_are_blocked(linked: RestoringHost, out: Path) -> None:
    block(linked, out, "A1", "A2")
    with pytest.raises(TransferError, match="2 entries could not be put in place"):
        linked.restore(linked.order(out))
    assert (linked.restored(out) / "A3").read_bytes() == CONTENT


def test_names_that_are_all_blocked_are_all_named(linked: RestoringHost, out: Path) -> None:
    block(linked, out, "A1", "A2", "A3")
    with pytest.raises(TransferError, match=r"3 entries could not be put in place: .*A1 .*A2 .*A3"):
        linked.restore(linked.order(out))
    assert (linked.restored(out) / "other").read_bytes() == b"other"


def test_a_blocked_symbolic_link_with_more_names_is_made_under_another(
    host: RestoringHost, out: Path
) -> None:
    (host.tree / "A1").symlink_to("anywhere")
    os.link(host.tree / "A1", host.tree / "A2", follow_symlinks=False)
    host.back_up()
    block(host, out, "A1")
    with pytest.raises(TransferError, match="1 entry could not be put in place"):
        host.restore(host.order(out))
    assert os.readlink(host.restored(out) / "A2") == "anywhere"


def test_damage_of_the_content_names_the_volume_for_every_name(linked: RestoringHost, out: Path) -> None:
    volume = linked.volumes("d")[0]
    flip(volume)
    with pytest.raises(CorruptedBackupError, match=r"A1, .*A2, .*A3") as caught:
        linked.restore(linked.order(out))
    assert caught.value.object_name == linked.name_of(volume)
    assert not (linked.restored(out) / "A2").exists()


def her_own_file(place: Path) -> None:
    place.write_bytes(b"hers")


def a_link_of_hers(place: Path) -> None:
    place.symlink_to("/etc/passwd")


@pytest.mark.parametrize("make", [her_own_file, a_link_of_hers])
def test_nothing_that_took_the_place_of_a_first_name_gets_the_other_names(
    linked: RestoringHost, out: Path, make: Callable[[Path], None]
) -> None:
    """Whoever owns the directory can do that before the others are linked, which may lie elsewhere."""
    (linked.tree / "later").write_bytes(random.Random(0).randbytes(20 << 20))
    linked.back_up()
    first = linked.restored(out) / "A1"

    def replace(name: str, reads: int) -> None:
        del name, reads
        if first.is_file() and first.read_bytes() == CONTENT and not (out / "hers").is_symlink():
            make(out / "hers")
            (out / "hers").rename(first)

    opener = InterposingOpener(linked.base / "store", replace)
    with pytest.raises(TransferError, match="its first name was replaced before it could be linked"):
        run_restore(linked.order(out), opener, linked.reports.append)
    assert sorted(found.name for found in first.parent.iterdir()) == ["A1", "later", "other"]
    assert first.lstat().st_nlink == 1
