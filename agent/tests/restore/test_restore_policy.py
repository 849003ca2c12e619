# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that somebody moves while a restore compares what is there: metadata go on what was compared."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from handmade import CHAIN, entry, link

from papi_backup.engine.crypto import ChainKeys
from papi_backup.engine.format.entries import FIFO, Entry
from papi_backup.engine.format.references import Item
from papi_backup.engine.restore.accounts import OwnerNumbers
from papi_backup.engine.restore.files import Placer
from papi_backup.engine.restore.metadata import MetadataWriter
from papi_backup.engine.restore.policy import Judge
from papi_backup.engine.restore.tally import Causes
from papi_backup.engine.restore.tree import BlockedError, Found, Target, Tree

KEYS = ChainKeys.derive(bytes(32), CHAIN, encrypted=False)
Make = Callable[[Path], None]
KINDS = [
    pytest.param(Path.touch, entry(b"x"), id="file"),
    pytest.param(os.mkfifo, entry(b"x", FIFO), id="fifo"),
    pytest.param(lambda path: path.symlink_to("goal"), link(b"x", b"goal"), id="link"),
]


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    """A target somebody else may write to, with a file of theirs that is no business of the restore's."""
    (tmp_path / "secret").touch()
    (tmp_path / "secret").chmod(0o600)
    root = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    tree = Tree(Target(os.fsencode(tmp_path), "changed"), root, "thisrun")
    os.close(root)
    yield tree
    tree.close()


def found_in(tree: Tree) -> Found:
    found = tree.find(b"x")
    assert found is not None
    return found


def no_content(unused: Entry) -> list[Item]:
    return []


@pytest.mark.parametrize(("make", "saved"), KINDS)
def test_a_name_moved_after_the_comparison_gets_no_metadata(
    tree: Tree, tmp_path: Path, make: Make, saved: Entry
) -> None:
    make(tmp_path / "x")
    before = (tmp_path / "secret").stat().st_mtime_ns
    placer = Placer(tree, MetadataWriter(OwnerNumbers(), Causes()))
    with Judge("changed", no_content, KEYS).same(saved, found_in(tree)) as descriptor:
        assert descriptor is not None
        (tmp_path / "x").rename(tmp_path / "compared")
        (tmp_path / "secret").rename(tmp_path / "x")
        placer.fix_metadata(saved, descriptor)
    assert (tmp_path / "compared").lstat().st_mtime_ns == saved.mtime_ns
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "x").stat().st_mtime_ns == before


def test_what_took_the_name_before_the_comparison_is_not_the_same(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    found = found_in(tree)
    (tmp_path / "secret").rename(tmp_path / "x")
    with Judge("changed", no_content, KEYS).same(entry(b"x"), found) as descriptor:
        assert descriptor is None


def test_a_file_that_gets_another_name_while_it_is_compared_is_replaced(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "x").touch()

    def link_meanwhile(unused: Entry) -> list[Item]:
        os.link(tmp_path / "x", tmp_path / "another-name")
        return []

    with Judge("changed", link_meanwhile, KEYS).same(entry(b"x"), found_in(tree)) as descriptor:
        assert descriptor is None


def test_something_else_in_place_of_a_new_link_gets_no_metadata(tree: Tree, tmp_path: Path) -> None:
    writer = MetadataWriter(OwnerNumbers(), Causes())
    before = (tmp_path / "secret").stat()
    root = os.open(tmp_path, os.O_PATH)
    with pytest.raises(BlockedError, match="something else"):
        writer.set_special(root, b"secret", link(b"x", b"goal"))
    os.close(root)
    assert (tmp_path / "secret").stat() == before
