# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup made up to harm who restores it: nothing outside the target is touched."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from handmade import BACKUP, CONTENT_OF_FILES, HOST, Forge, entry, link
from restoring import RestoringHost
from seen_trees import tree_on_disk

from papi_backup.engine.format.entries import DIRECTORY
from papi_backup.engine.format.names import CONTENT, INDEX
from papi_backup.engine.format.pages import ItemChild, encode_items_node, encode_items_page
from papi_backup.engine.format.references import PageRef, VolumeRange
from papi_backup.model.errors import CorruptedBackupError, PapiError, TransferError

Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """A directory beside the target that must stay as it is."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "file").write_bytes(b"precious")
    before = tree_on_disk(victim)
    yield victim
    assert tree_on_disk(victim) == before


@pytest.fixture
def hostile(tmp_path: Path) -> RestoringHost:
    """A host that restores an unencrypted backup."""
    host = RestoringHost.below(tmp_path, key="")
    assert host.backing.name == HOST
    return host


def set_name(name: str) -> Change:
    def change(document: dict[str, Any]) -> None:
        document["n"][0] = name

    return change


def set_directory(name: str) -> Change:
    def change(document: dict[str, Any]) -> None:
        document["dirs"][0] = name

    return change


def set_member(key: str, value: Any) -> Change:
    def change(document: dict[str, Any]) -> None:
        document[key] = value

    return change


HOSTILE_NAMES = {
    "dot-dot": set_name(".."),
    "dot": set_name("."),
    "slash": set_name("../victim/file"),
    "absolute": set_name("/etc/passwd"),
    "nul": set_name("a\0b"),
    "empty": set_name(""),
    "directory-dot-dot": set_directory("../victim"),
    "directory-absolute": set_directory("/etc"),
    "directory-inner-dot-dot": set_directory("a/../../victim"),
    "directory-nul": set_directory("a\0"),
    "lone-surrogate": set_name("\ud800"),
    "name-is-number": set_member("n", [1]),
    "names-missing": set_member("n", []),
    "columns-differ": set_member("m", []),
    "no-columns": set_member("d", None),
    "types-unknown": set_member("t", "s"),
    "owner-is-text": set_member("owners", [["root", "root", "", ""]]),
    "owner-is-negative": set_member("owners", [[-1, -1, "", ""]]),
    "owner-is-huge": set_member("owners", [[1 << 40, 0, "", ""]]),
    "owner-is-short": set_member("owners", [[0]]),
    "owner-is-list": set_member("owners", [[[], [], "", ""]]),
    "mtime-is-text": set_member("mt", ["now"]),
    "mode-is-list": set_member("m", [[]]),
    "size-is-negative": set_member("s", [-1]),
    "size-is-another": set_member("s", [5]),
    "items-missing": set_member("sg", []),
    "item-negative": set_member("of", [-5]),
    "item-beyond-segment": set_member("ln", [1 << 40]),
    "attributes-are-a-list": set_member("x", {"0": []}),
    "group-is-a-list": set_member("h", {"0": [1]}),
    "item-pages-nowhere": set_member("lists", {"0": [[7, 0, 1], []]}),
}


@pytest.mark.parametrize("change", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
def test_a_malformed_entry_is_damage_of_its_index_volume(
    hostile: RestoringHost, out: Path, victim: Path, change: Change
) -> None:
    forge = Forge(hostile.base / "store")
    forge.backup([entry(b"victim/name", items=forge.content())], change)
    with pytest.raises(CorruptedBackupError, match="/i/0/0 is damaged"):
        hostile.restore(hostile.order(out))
    assert victim.is_dir()
    assert [path for path in out.rglob("*") if path.is_file()] == []


def outcome(host: RestoringHost, target: Path) -> PapiError | None:
    """Restore; return the error it ended with, if any."""
    try:
        host.restore(host.order(target, overwrite="always"))
    except PapiError as error:
        return error
    return None


def test_a_control_backup_by_the_same_hand_is_restored(hostile: RestoringHost, out: Path) -> None:
    forge = Forge(hostile.base / "store")
    forge.backup([entry(b"directory", DIRECTORY), entry(b"directory/file", items=forge.content())])
    assert outcome(hostile, out) is None
    assert (out / "directory" / "file").read_bytes() == CONTENT_OF_FILES


@pytest.mark.parametrize("helpers", [1, 2])
def test_a_file_behind_a_symbolic_link_does_not_follow_it(
    hostile: RestoringHost, out: Path, victim: Path, helpers: int
) -> None:
    hostile.helpers = helpers
    forge = Forge(hostile.base / "store")
    items = forge.content()
    forge.backup(
        [
            link(b"way", os.fsencode(victim)),
            entry(b"way/file", items=items),
            entry(b"way/new", items=items),
            entry(b"zz", items=items),
        ]
    )
    outcome(hostile, out)
    assert (out / "zz").read_bytes() == CONTENT_OF_FILES


def test_a_directory_that_is_then_a_link_leads_nowhere(
    hostile: RestoringHost, out: Path, victim: Path
) -> None:
    forge = Forge(hostile.base / "store")
    items = forge.content()
    forge.backup(
        [
            entry(b"way", DIRECTORY),
            link(b"way", os.fsencode(victim)),
            entry(b"way/file", items=items),
            link(b"way", os.fsencode(victim)),
            entry(b"way/file", items=items),
        ]
    )
    outcome(hostile, out)


def test_a_link_already_on_disk_is_not_followed(hostile: RestoringHost, out: Path, victim: Path) -> None:
    out.mkdir()
    (out / "way").symlink_to(victim)
    forge = Forge(hostile.base / "store")
    forge.backup([entry(b"way", DIRECTORY), entry(b"way/file", items=forge.content())])
    assert outcome(hostile, out) is None
    assert (out / "way" / "file").read_bytes() == CONTENT_OF_FILES
    assert not (out / "way").is_symlink()


def test_a_hard_link_group_cannot_name_a_file_that_was_not_restored(
    hostile: RestoringHost, out: Path, victim: Path
) -> None:
    forge = Forge(hostile.base / "store")
    items = forge.content()
    forge.backup(
        [
            link(
                b"first",
                os.fsencode(victim / "file"),
            ),
            entry(b"second", items=items, link_group="g"),
            entry(b"third", items=items, link_group="g"),
        ],
        set_member("h", {"0": "g", "1": "g", "2": "g"}),
    )
    outcome(hostile, out)
    assert (out / "second").read_bytes() == CONTENT_OF_FILES
    assert (out / "second").samefile(out / "third")
    assert not (out / "second").is_symlink()
    assert (victim / "file").stat().st_nlink == 1


def test_metadata_of_a_link_is_not_set_on_what_it_leads_to(
    hostile: RestoringHost, out: Path, victim: Path
) -> None:
    forge = Forge(hostile.base / "store")
    forge.backup([link(b"d", os.fsencode(victim)), link(b"l", os.fsencode(victim / "file"))])
    assert outcome(hostile, out) is None
    assert outcome(hostile, out) is None


def test_an_attribute_that_no_file_system_takes_is_a_warning(hostile: RestoringHost, out: Path) -> None:
    forge = Forge(hostile.base / "store")
    attributes = {b"no-such-namespace": b"value"}
    forge.backup([entry(b"file", items=forge.content(), xattrs=attributes)])
    result = hostile.restore(hostile.order(out))
    assert (out / "file").read_bytes() == CONTENT_OF_FILES
    assert "attribute no-such-namespace not set" in result.description


def test_a_system_directory_that_is_a_link_is_neither_followed_nor_replaced(
    hostile: RestoringHost, victim: Path
) -> None:
    way = hostile.base / "way"
    way.symlink_to(victim)
    forge = Forge(hostile.base / "store")
    items = forge.content()
    inside = os.fsencode(way)[1:]
    other = os.fsencode(hostile.base / "other")[1:]
    forge.backup([entry(other, items=items), entry(inside, DIRECTORY), entry(inside + b"/file", items=items)])
    with pytest.raises(TransferError, match="way is a symbolic link to a directory"):
        hostile.restore(hostile.order("", overwrite="always"))
    assert way.is_symlink()
    assert (hostile.base / "other").read_bytes() == CONTENT_OF_FILES


def test_a_content_list_that_multiplies_itself_is_damage_and_ends(hostile: RestoringHost, out: Path) -> None:
    """Twelve levels of pages, each naming the next a thousand times, would never end."""
    forge = Forge(hostile.base / "store")
    page = encode_items_page(forge.content())
    levels = 12
    while levels:
        child = ItemChild(PageRef(forge.segment(INDEX, page), 0, len(page)), len(CONTENT_OF_FILES))
        page = encode_items_node([child] * 1000)
        levels -= 1
    root = PageRef(forge.segment(INDEX, page), 0, len(page))
    bomb = entry(b"bomb", item_pages=root, item_volumes=(VolumeRange(CONTENT, BACKUP, 0, 0),))
    bomb.size = len(CONTENT_OF_FILES)
    forge.backup([bomb])
    with pytest.raises(CorruptedBackupError, match="/i/"):
        hostile.restore(hostile.order(out))
    assert not (out / "bomb").exists()
