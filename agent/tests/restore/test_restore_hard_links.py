# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hard links whose first name cannot be put in its place: who is to blame, and who gets the content."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from restoring import RestoringHost, flip

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
