# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole storages made by someone who means harm: refused with the right code and the object's name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from storage_maker import FIRST, INSTANCE, StorageMaker, an_entry

from papi_backup.engine.catalog import list_backups, list_host_names
from papi_backup.engine.compression import SegmentCompressor
from papi_backup.engine.format.entries import DIRECTORY, Entry
from papi_backup.engine.format.manifest import LARGEST_MANIFEST
from papi_backup.engine.format.names import CATALOG, CONTENT, catalog_name
from papi_backup.engine.format.pages import (
    Child,
    ItemChild,
    Volume,
    encode_items_node,
    encode_items_page,
    encode_node,
    encode_volumes_page,
)
from papi_backup.engine.format.references import PageRef
from papi_backup.engine.format.segment import ZSTD, build_frame
from papi_backup.engine.opened import OpenedBackup, PageReader, SegmentReader, open_backup
from papi_backup.engine.storage.directory import DirectoryStorage
from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.errors import CorruptedBackupError, DecryptionKeyError, DecryptionKeyMissingError
from papi_backup.model.secret import Secret

KEY = "the key"
both = pytest.mark.parametrize("key", [KEY, ""], ids=["encrypted", "raw"])


def small_list(maker: StorageMaker) -> list[Entry]:
    item = maker.item(b"hello")
    return [an_entry(b"srv", DIRECTORY), an_entry(b"srv/hello", size=5, items=[item])]


def opened(maker: StorageMaker, entry: CatalogEntry, key: str | None = None) -> OpenedBackup:
    return open_backup(DirectoryStorage(maker.root), entry, Secret(maker.key if key is None else key))


def reader(maker: StorageMaker, root: PageRef | None, **members: Any) -> PageReader:
    backup = opened(maker, maker.commit(root, **members))
    return PageReader(DirectoryStorage(maker.root), backup)


@both
def test_an_honest_storage_is_listed_opened_and_read(tmp_path: Path, key: str) -> None:
    maker = StorageMaker(tmp_path, key)
    pages = reader(maker, maker.leaf(small_list(maker)))
    storage = DirectoryStorage(tmp_path)
    (entry,) = list_backups(storage, "HOST.example")
    assert list_host_names(storage) == ["host.example"]
    ((_unused_page, leaf),) = pages.leaves()
    (item,) = pages.items(leaf.entry(1))
    assert item.segment is not None
    assert bytes(SegmentReader(storage, opened(maker, entry)).fetch(CONTENT, item.segment)) == b"hello"
    assert list(pages.volumes()) == list(maker.table())


@both
def test_keys_are_told_apart_before_anything_is_believed(tmp_path: Path, key: str) -> None:
    maker = StorageMaker(tmp_path, key)
    entry = maker.commit(None)
    with pytest.raises(DecryptionKeyError):
        opened(maker, entry, "another key")
    if key:
        with pytest.raises(DecryptionKeyMissingError):
            opened(maker, entry, "")


RENAMES: list[dict[str, Any]] = [
    {"host_name": "other.example"},
    {"backup_name": "srv"},
    {"backup": "0" * 15 + "2"},
    {"instance": INSTANCE[::-1]},
    {"backup_type": "inc"},
]


@both
@pytest.mark.parametrize("members", RENAMES, ids=lambda members: next(iter(members)))
def test_a_renamed_manifest_is_refused_by_name(tmp_path: Path, key: str, members: dict[str, Any]) -> None:
    maker = StorageMaker(tmp_path, key)
    entry = maker.commit(None)
    renamed = replace(entry, **members)
    renamed = replace(renamed, path=catalog_name(renamed))
    maker.put(CATALOG + renamed.path, (tmp_path / CATALOG / entry.path).read_bytes())
    with pytest.raises(CorruptedBackupError) as caught:
        opened(maker, renamed)
    assert caught.value.object_name == CATALOG + renamed.path


def test_a_raw_manifest_under_an_encrypted_name_is_refused(tmp_path: Path) -> None:
    maker = StorageMaker(tmp_path)
    entry = maker.commit(None)
    disguised = replace(entry, encrypted=True, path=entry.path.replace("-raw-", "-enc-"))
    maker.put(CATALOG + disguised.path, (tmp_path / CATALOG / entry.path).read_bytes())
    with pytest.raises(CorruptedBackupError, match="contradict"):
        opened(maker, disguised, KEY)


def test_a_manifest_too_large_to_be_one_is_refused_unread(tmp_path: Path) -> None:
    maker = StorageMaker(tmp_path)
    entry = replace(maker.commit(None), manifest_size=LARGEST_MANIFEST + 1)
    (tmp_path / CATALOG / entry.path).unlink()
    with pytest.raises(CorruptedBackupError, match="larger"):
        opened(maker, entry)


@both
@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"[" * 100_000, bytes(7 << 20), b"[]," * (2 << 20)])
def test_a_manifest_with_a_malformed_body_is_damage(tmp_path: Path, key: str, body: bytes) -> None:
    maker = StorageMaker(tmp_path, key)
    entry = maker.write(replace(maker.commit(None), backup="0" * 16), body)
    with pytest.raises(CorruptedBackupError):
        opened(maker, entry)


@both
def test_a_body_that_contradicts_its_name_is_damage(tmp_path: Path, key: str) -> None:
    maker = StorageMaker(tmp_path, key)
    with pytest.raises(CorruptedBackupError, match="contradict"):
        opened(maker, maker.commit(None, lambda body: body.update(instance="0" * 16)))


def test_a_later_features_manifest_is_not_called_damaged(tmp_path: Path) -> None:
    maker = StorageMaker(tmp_path)
    with pytest.raises(CorruptedBackupError, match="cannot be read by this version"):
        opened(maker, maker.commit(None, lambda body: body["required"].append("later")))


def node(*children: Child) -> bytes:
    return encode_node(children)


def a_page_met_twice(maker: StorageMaker) -> PageRef:
    leaf = maker.leaf(small_list(maker))
    again = maker.leaf([an_entry(b"srv/hello"), an_entry(b"tmp")])
    return maker.page(node(Child(leaf, b"srv", 2), Child(again, b"srv/hello", 2)))


def a_lie_about_the_first_path(maker: StorageMaker) -> PageRef:
    return maker.page(node(Child(maker.leaf(small_list(maker)), b"sr", 2)))


def a_lie_about_the_count(maker: StorageMaker) -> PageRef:
    return maker.page(node(Child(maker.leaf(small_list(maker)), b"srv", 3)))


def a_lie_about_a_node(maker: StorageMaker) -> PageRef:
    inner = maker.page(node(Child(maker.leaf(small_list(maker)), b"srv", 2)))
    return maker.page(node(Child(inner, b"srv", 5)))


def a_tree_without_end(maker: StorageMaker) -> PageRef:
    page = maker.leaf(small_list(maker))
    for _unused_level in range(40):
        page = maker.page(node(Child(page, b"srv", 2)))
    return page


def a_volume_page_for_a_root(maker: StorageMaker) -> PageRef:
    return maker.page(encode_volumes_page([Volume(FIRST, "d", 0, 1)]))


def a_leaf_that_is_no_page(maker: StorageMaker) -> PageRef:
    return maker.page(b"no page at all")


@both
@pytest.mark.parametrize(
    "make",
    [
        a_page_met_twice,
        a_lie_about_the_first_path,
        a_lie_about_the_count,
        a_lie_about_a_node,
        a_tree_without_end,
        a_volume_page_for_a_root,
        a_leaf_that_is_no_page,
    ],
)
def test_a_hostile_file_list_is_damage_and_names_its_volume(
    tmp_path: Path, key: str, make: Callable[[StorageMaker], PageRef]
) -> None:
    maker = StorageMaker(tmp_path, key)
    pages = reader(maker, make(maker))
    with pytest.raises(CorruptedBackupError) as caught:
        list(pages.leaves())
    assert caught.value.object_name.endswith(f"/{FIRST}/i/0/0")


def too_short(maker: StorageMaker) -> PageRef:
    return maker.page(encode_items_page([maker.item(b"hell")]))


def too_long(maker: StorageMaker) -> PageRef:
    return maker.page(encode_items_page([maker.item(b"hello, world")]))


def a_child_that_lies(maker: StorageMaker) -> PageRef:
    return maker.page(encode_items_node([ItemChild(too_short(maker), 5)]))


def a_bomb_of_pages(maker: StorageMaker) -> PageRef:
    page = maker.page(encode_items_page([maker.item(b"hello")]))
    for _unused_level in range(30):
        page = maker.page(encode_items_node([ItemChild(page, 5)] * 1000))
    return page


def a_leaf_for_a_list(maker: StorageMaker) -> PageRef:
    return maker.leaf(small_list(maker))


@both
@pytest.mark.parametrize("make", [too_short, too_long, a_child_that_lies, a_bomb_of_pages, a_leaf_for_a_list])
def test_a_hostile_content_list_is_damage(
    tmp_path: Path, key: str, make: Callable[[StorageMaker], PageRef]
) -> None:
    maker = StorageMaker(tmp_path, key)
    pages = reader(maker, maker.leaf([an_entry(b"long", size=5, item_pages=make(maker))]))
    ((_unused_page, leaf),) = pages.leaves()
    with pytest.raises(CorruptedBackupError):
        list(pages.items(leaf.entry(0)))


def test_a_volume_table_that_names_a_volume_twice_is_damage(tmp_path: Path) -> None:
    maker = StorageMaker(tmp_path)
    rows = [Volume(FIRST, "d", number, 1) for number in range(3)]
    first, second = (maker.page(encode_volumes_page(part)) for part in (rows, rows[2:]))
    pages = reader(maker, None, volume_pages=(first, second))
    with pytest.raises(CorruptedBackupError, match="twice"):
        list(pages.volumes())
    pages = reader(maker, None, volume_pages=(maker.page(encode_volumes_page(maker.table())),))
    with pytest.raises(CorruptedBackupError, match="twice"):
        list(pages.volumes())


def test_a_segment_that_unfolds_to_more_or_less_than_referred_to_is_damage(tmp_path: Path) -> None:
    maker = StorageMaker(tmp_path)
    raw = b"hello" * 1000
    codec, payload = SegmentCompressor().compress(raw)
    assert codec == ZSTD
    honest = maker.segment(CONTENT, raw)
    bomb = maker.segment(CONTENT, b"x", frame=build_frame(ZSTD, len(raw), payload, hide_size=True))
    backup = opened(maker, maker.commit(None))
    segments = SegmentReader(DirectoryStorage(tmp_path), backup)
    assert bytes(segments.fetch(CONTENT, honest)) == raw
    for reference in (
        bomb,
        honest._replace(raw_size=len(raw) + 1),
        honest._replace(raw_size=len(raw) - 1),
        honest._replace(offset=16),
        honest._replace(length=honest.length - 16),
        honest._replace(tag=bytes(32)),
        honest._replace(volume=1),
        honest._replace(backup="0" * 16),
    ):
        with pytest.raises(CorruptedBackupError) as caught:
            segments.fetch(CONTENT, reference)
        assert "/d/0/" in caught.value.object_name


class BrokenStorage(DirectoryStorage):
    """A storage with a programming error."""

    def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        return bytes(1 // int(name == (offset, length)))


def test_a_programming_error_is_not_taken_for_damage(tmp_path: Path) -> None:
    maker = StorageMaker(tmp_path)
    entry = maker.commit(maker.leaf(small_list(maker)))
    backup = opened(maker, entry)
    with pytest.raises(ZeroDivisionError):
        open_backup(BrokenStorage(tmp_path), entry, Secret(""))
    with pytest.raises(ZeroDivisionError):
        list(PageReader(BrokenStorage(tmp_path), backup).leaves())
