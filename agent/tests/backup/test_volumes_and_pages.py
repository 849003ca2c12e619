# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a backup lies on the storage: objects never too large, pages small, tables complete."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from backing_host import Host
from seen_trees import needed_volumes, tree_on_disk

from papi_backup.engine.backup.setup import chunker_for
from papi_backup.engine.format.entries import MOST_ITEMS
from papi_backup.engine.format.leaf import LeafPage
from papi_backup.engine.format.names import volume_name
from papi_backup.engine.format.pages import LARGEST_LEAF, MOST_LEAF_ENTRIES, Volume
from papi_backup.engine.format.segment import segment_cap
from papi_backup.engine.opened import PageReader, missing_volumes
from papi_backup.model.sizes import MEBIBYTE


def noise(size: int, seed: object = 0) -> bytes:
    return random.Random(str(seed)).randbytes(size)


def leaves(host: Host) -> list[LeafPage]:
    return [leaf for _page, leaf in PageReader(host.storage(), host.opened()).leaves()]


def table(host: Host) -> set[Volume]:
    return set(PageReader(host.storage(), host.opened()).volumes())


def assert_sound(host: Host) -> None:
    """No object is too large, the table names what is needed and nothing that is not there whole."""
    for found in host.storage().list(""):
        assert found.size <= host.file_size * MEBIBYTE, found
    volumes = table(host)
    assert {volume[:3] for volume in volumes} >= needed_volumes(host.storage(), host.opened())
    assert missing_volumes(host.storage(), host.opened(), volumes) == []
    assert host.saved() == tree_on_disk(host.tree)


@pytest.mark.parametrize("key", ["", "key"])
@pytest.mark.parametrize("helpers", [0, 2])
def test_no_object_is_ever_larger_than_the_file_size(host: Host, key: str, helpers: int) -> None:
    host.key, host.helpers = key, helpers
    cap = segment_cap(MEBIBYTE)
    for number, size in enumerate([cap - 1, cap, cap + 1, MEBIBYTE, 5 * MEBIBYTE + 1, 100, 0]):
        (host.tree / str(number)).write_bytes(noise(size, number))
    for number in range(300):
        (host.tree / f"small{number}").write_bytes(noise(10_000, ("small", number)))
    host.back_up("full")
    assert_sound(host)
    (host.tree / "3").write_bytes(noise(2 * MEBIBYTE, "new"))
    (host.tree / "5").unlink()
    host.back_up("inc")
    assert_sound(host)


def test_file_sizes_that_are_multiples_of_volumes_come_back(host: Host) -> None:
    for volumes in (1, 2, 3):
        for more in (-1, 0, 1):
            (host.tree / f"{volumes}{more}").write_bytes(noise(volumes * MEBIBYTE + more, (volumes, more)))
    host.back_up("full")
    assert_sound(host)


def test_a_leaf_holds_so_many_entries_at_most_and_few_when_names_are_long(host: Host) -> None:
    for number in range(3000):
        (host.tree / f"{number}").touch()
    for number in range(1500):
        (host.tree / f"{number:04}{'n' * 240}").touch()
    host.back_up("full")
    pages = leaves(host)
    assert sum(map(len, pages)) >= 4501
    assert max(map(len, pages)) <= MOST_LEAF_ENTRIES
    assert max(sum(map(len, leaf.paths)) for leaf in pages) <= LARGEST_LEAF + 4096
    assert len(pages) > 10
    assert_sound(host)


def test_entries_of_huge_attributes_are_spread_over_pages_that_fit(host: Host) -> None:
    for number in range(100):
        path = host.tree / f"{number}"
        path.touch()
        for attribute in range(4):
            os.setxattr(path, f"user.{attribute}", noise(900, (number, attribute)))
    host.back_up("full")
    assert_sound(host)
    assert sum(map(len, leaves(host))) >= 101


def test_an_insertion_leaves_most_leaves_shared_with_the_parent(host: Host) -> None:
    for number in range(5000):
        (host.tree / f"{number:05}").touch()
    host.back_up("full")
    first = {page for page, _leaf in PageReader(host.storage(), host.opened()).leaves()}
    (host.tree / "02500a").touch()
    result = host.back_up("inc")
    second = {page for page, _leaf in PageReader(host.storage(), host.opened()).leaves()}
    # The first leaf changes too: the directory itself has a new time.
    assert len(first - second) <= 3
    assert len(first) >= 10
    assert result.bytes_stored < 40_000
    assert_sound(host)


def _many_chunks(path: Path, chunks: int) -> None:
    """Write a file of at least so many chunks of an average of 256 KiB."""
    average = chunker_for(MEBIBYTE).average
    with path.open("wb") as file:
        for number in range(chunks):
            file.write(noise(average * 2, number))


def test_long_content_lists_go_to_pages_of_their_own_and_are_shared_when_unchanged(host: Host) -> None:
    _many_chunks(host.tree / "large", MOST_ITEMS + 10)
    host.back_up("full")
    [(leaf, row)] = [
        (leaf, row)
        for leaf in leaves(host)
        for row, path in enumerate(leaf.paths)
        if path.endswith(b"/large")
    ]
    assert leaf.rows_with_item_pages() == [row]
    assert leaf.items(row) == []
    assert_sound(host)
    (host.tree / "large").chmod(0o600)
    result = host.back_up("inc")
    assert result.bytes_stored < 4096
    assert_sound(host)
    with (host.tree / "large").open("r+b") as file:
        file.write(b"changed")
    (host.tree / "small").write_text("small")
    host.back_up("inc")
    assert_sound(host)
    assert host.opened().manifest.totals.dead_bytes >= (host.tree / "large").stat().st_size


@pytest.mark.parametrize("helpers", [0, 2])
def test_a_long_volume_table_goes_to_pages_and_the_next_backup_reads_it(host: Host, helpers: int) -> None:
    host.inline_volumes, host.helpers = 3, helpers
    (host.tree / "large").write_bytes(noise(9 * MEBIBYTE))
    host.back_up("full")
    assert len(table(host)) >= 9
    assert len(host.opened().manifest.volume_pages) >= 3
    assert_sound(host)
    for round_number in range(3):
        (host.tree / "new").write_text(f"{round_number}")
        assert host.back_up("inc").backup_type == "inc"
        assert_sound(host)
    gone = next(volume for volume in table(host) if volume.kind == "d")
    host.storage().delete([volume_name(host.opened().prefix, gone.backup, gone.kind, gone.number)])
    assert "volumes of the chain are damaged" in host.back_up("inc").description
    assert_sound(host)


def test_volumes_that_no_file_needs_any_more_leave_the_table(host: Host) -> None:
    (host.tree / "a").write_bytes(noise(3 * MEBIBYTE, "a"))
    (host.tree / "b").write_bytes(noise(3 * MEBIBYTE, "b"))
    host.back_up("full")
    before = len(table(host))
    (host.tree / "a").unlink()
    host.back_up("inc")
    assert len(table(host)) < before
    assert_sound(host)


def test_an_empty_directory_and_an_empty_source_file_are_backups_too(host: Host) -> None:
    host.back_up("full")
    assert_sound(host)
    (host.tree / "empty").touch()
    host.back_up("inc")
    assert_sound(host)
