# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows kept from the previous list: none is lost, doubled or mixed up; pages end where a full backup's do."""

from __future__ import annotations

import os
import random
import shutil
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from backing_host import Host
from changing_tree import ChangingTree
from fast_place import fast_directory
from seen_trees import needed_volumes, tree_on_disk

from papi_backup.engine.backup import filelist, previous, walk
from papi_backup.engine.opened import ListShare, PageReader
from papi_backup.engine.storage.directory import DirectoryStorage

SHORT_TICK = 25_000_000
"""Nanoseconds within which a clock of files may stand still; more than any kernel's tick."""
LEAST, MOST, BATCH = 3, 12, 7
"""Rows of a page and of a batch of the walk: so few that a small tree has many of both."""


@pytest.fixture
def host() -> Iterator[Host]:
    """A host whose file list is cut into tiny pages."""
    base = fast_directory()
    for name in ("tree", "storage"):
        (base / name).mkdir()
    with (
        mock.patch.object(filelist, "LEAF_ENTRIES", 2),
        mock.patch.object(filelist, "LEAST_LEAF_ENTRIES", LEAST),
        mock.patch.object(filelist, "MOST_LEAF_ENTRIES", MOST),
        mock.patch.object(walk, "_LONGEST_BATCH", BATCH),
        mock.patch.object(previous, "RACY_NANOSECONDS", SHORT_TICK),
    ):
        yield Host(base, lambda: DirectoryStorage(base / "storage"))
    shutil.rmtree(base)


def change(tree: ChangingTree, rng: random.Random, times: int) -> None:
    for _unused in range(times):
        pick = rng.randrange(10_000)
        name = rng.choice([b"a", b"b-", b".c", b"\xff"]) + b"%d" % rng.randrange(90)
        what = rng.randrange(8)
        if what < 3:
            tree.create(pick, name, rng.choice([0, 10, 3000]), rng.randrange(20))
        elif what == 3:
            tree.make_directory(pick, name)
        elif what == 4:
            tree.make_hard_link(pick, name, rng.randrange(10_000))
        elif what == 5:
            tree.overwrite_secretly(pick, rng.randrange(20))
        elif what == 6:
            tree.change_attribute(pick, b"a", b"value")
        else:
            tree.rename(pick, rng.randrange(10_000), name)


def fresh_pages(paths: list[bytes]) -> list[list[bytes]]:
    """Cut a list as a full backup does."""
    pages: list[list[bytes]] = [[]]
    for path in paths:
        pages[-1].append(path)
        count = len(pages[-1])
        if count >= MOST or (count >= LEAST and not zlib.crc32(path) % filelist.LEAF_ENTRIES):
            pages.append([])
    return [page for page in pages if page]


def pages_of(host: Host) -> list[list[bytes]]:
    """Return the paths in each page of the newest backup."""
    return [leaf.paths for _page, leaf in PageReader(host.storage(), host.opened()).leaves()]


def back_up_and_look(host: Host) -> None:
    """Run an incremental and check that its list is the tree, and its table what the list needs."""
    time.sleep(2 * SHORT_TICK / 1e9)
    assert host.back_up("inc").warnings == ()
    assert host.saved() == tree_on_disk(host.tree)
    opened = host.opened()
    assert {volume[:3] for volume in opened.manifest.volumes} >= needed_volumes(host.storage(), opened)
    pages = pages_of(host)
    assert pages == fresh_pages([path for page in pages for path in page])
    assert opened.manifest.totals.entries == sum(map(len, pages))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("entries", [2, 5], ids=["short pages", "longer pages"])
def test_an_incremental_of_any_changes_is_cut_like_a_full_backup_and_has_every_row(
    host: Host, entries: int, seed: int
) -> None:
    rng = random.Random(seed)
    tree = ChangingTree(os.fsencode(host.tree))
    change(tree, rng, 200)
    with mock.patch.object(filelist, "LEAF_ENTRIES", entries):
        for times in (0, 1, 1, 2, 30, 1):
            change(tree, rng, times)
            back_up_and_look(host)


@pytest.fixture
def flat(host: Host) -> Iterator[Host]:
    """A host with a full backup of one long directory; every page has as many rows as it may have."""
    for number in range(8 * MOST):
        (host.tree / f"{number:03}").write_bytes(b"%d" % number)
    with mock.patch.object(filelist, "LEAF_ENTRIES", 1 << 40):
        back_up_and_look(host)
        yield host


def remove(paths: list[bytes]) -> None:
    for path in paths:
        os.unlink(b"/" + path)


@pytest.mark.parametrize("shares", [1, 2, 3, 7, 1000])
def test_every_page_of_a_list_is_in_one_of_its_shares(flat: Host, shares: int) -> None:
    reader = PageReader(flat.storage(), flat.opened())
    parts = [
        [leaf.paths for _page, leaf in reader.leaves(ListShare(number, shares))] for number in range(shares)
    ]
    assert [paths for part in parts for paths in part] == pages_of(flat)
    assert all(parts) == (shares <= 7)


def test_an_unchanged_list_is_the_pages_it_was(flat: Host) -> None:
    back_up_and_look(flat)
    assert flat.opened().entry.backup not in {
        page.segment.backup for page, _leaf in PageReader(flat.storage(), flat.opened()).leaves()
    }


def test_rows_gone_from_the_end_of_the_list_are_gone(flat: Host) -> None:
    remove(pages_of(flat)[-1][-1:])
    back_up_and_look(flat)


def test_rows_gone_from_the_middle_of_a_page_are_gone(flat: Host) -> None:
    remove(pages_of(flat)[3][2:4])
    back_up_and_look(flat)


@pytest.mark.parametrize("kept", [1, MOST // 2, MOST - 1])
def test_the_head_of_one_page_and_the_tail_of_the_next_are_neither_of_the_two(flat: Host, kept: int) -> None:
    _first, _second, one, other, *_rest = pages_of(flat)
    remove(one[kept:] + other[:kept])
    back_up_and_look(flat)


def test_a_kept_row_whose_content_list_has_pages_keeps_the_volumes_that_these_need(flat: Host) -> None:
    large, small = (Path("/", os.fsdecode(path)) for path in pages_of(flat)[3][4:6])
    with mock.patch.object(filelist, "MOST_ITEMS", 1):
        large.write_bytes(random.Random(1).randbytes(3 << 20))
        back_up_and_look(flat)
        small.write_bytes(b"changed")
        back_up_and_look(flat)
