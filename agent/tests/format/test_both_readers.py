# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine and recover.py read one format: they agree on every storage, an honest or an altered one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from backing_host import ignore
from hypothesis import given, settings
from hypothesis import strategies as st
from planting import copy_header, copy_whole, entry_of, manifests_of, plant
from restoring import NEVER_TOO_LATE
from seen_trees import Tree, tree_on_disk
from storage_maker import StorageMaker, an_entry
from test_recover import as_module

from papi_backup.engine.format.entries import DIRECTORY, FIFO, SYMLINK, Entry
from papi_backup.engine.format.names import CATALOG
from papi_backup.engine.format.pages import Child, Volume, encode_node, encode_volumes_page
from papi_backup.engine.format.references import PageRef
from papi_backup.engine.restore import run_restore
from papi_backup.engine.storage.directory import DirectoryStorage
from papi_backup.model.errors import CorruptedBackupError, PapiError
from papi_backup.model.job import RestoreOptions, RestoreOrder
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage, StorageAccess

PROGRAM = as_module()
KEY = "the key"
both = pytest.mark.parametrize("key", [KEY, ""], ids=["encrypted", "raw"])
WHOLE, LOST, NOTHING = "whole", "lost", "nothing"


def by_the_engine(store: Path, out: Path, key: str) -> str:
    """Restore with the engine; return how it ended."""
    access = StorageAccess(S3Storage("bucket", "id", Secret("secret"), "bucket", 1))
    options = RestoreOptions(1, "etc", NEVER_TOO_LATE, "host.example", Secret(key), os.fspath(out))
    order = RestoreOrder("host.example", access, options, ("/nonexistent",), helpers=0)
    try:
        run_restore(order, lambda: DirectoryStorage(store), ignore)
    except CorruptedBackupError:
        return LOST if out.exists() else NOTHING
    except PapiError:
        return NOTHING
    return WHOLE


def by_recover(store: Path, out: Path, key: str) -> str:
    """Restore with recover.py; return how it ended."""
    candidates = PROGRAM.catalog(os.fspath(store), "host.example", "etc")
    PROGRAM.derive.cache_clear()
    try:
        backup = PROGRAM.choose(os.fspath(store), candidates, key.encode())
    except (PROGRAM.DamagedError, PROGRAM.RefusedError):
        return NOTHING
    out.mkdir()
    backup.check_volumes()
    target = PROGRAM.Target(backup, os.open(out, os.O_RDONLY))
    target.restore()
    return LOST if target.lost else WHOLE


def compare(store: Path, place: Path, key: str) -> tuple[str, Tree]:
    """Restore with both readers, who must agree; return how it ended and what came of it."""
    outcomes, trees = [], []
    for number, reader in enumerate((by_the_engine, by_recover)):
        out = place / f"out-{number}"
        outcomes.append(reader(store, out, key))
        trees.append(tree_on_disk(out) if out.exists() else {})
        shutil.rmtree(out, ignore_errors=True)
    for tree in trees:
        tree.pop(b"", None)  # The target itself is made by whoever calls.
    assert outcomes[0] == outcomes[1]
    assert trees[0] == trees[1]
    return outcomes[0], trees[0]


def some_files(maker: StorageMaker) -> PageRef:
    """Store two files that are one, two that only seem to be, and one of every other kind."""
    hello, world = maker.item(b"hello"), maker.item(b"world")
    entries: list[Entry] = [
        an_entry(b"a", size=5, items=[hello], link_group="801:7"),
        an_entry(b"b", size=5, items=[hello], link_group="801:7"),
        an_entry(b"c", size=5, items=[world], link_group="801:7", ctime_ns=1),
        an_entry(b"d", DIRECTORY),
        an_entry(b"d/l", SYMLINK, link_target=b"a"),
        an_entry(b"d/p", FIFO),
    ]
    return maker.leaf(entries)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@both
def test_an_honest_storage_is_whole_for_both(tmp_path: Path, store: Path, key: str) -> None:
    maker = StorageMaker(store, key)
    maker.commit(some_files(maker))
    outcome, tree = compare(store, tmp_path, key)
    assert outcome == WHOLE
    assert len(tree) == 6


@pytest.mark.parametrize("fact", ["inode", "size", "mtime_ns", "ctime_ns"])
def test_names_of_one_link_group_with_other_facts_are_two_files_for_both(
    tmp_path: Path, store: Path, fact: str
) -> None:
    maker = StorageMaker(store, KEY)
    first = an_entry(b"a", size=5, items=[maker.item(b"hello")], link_group="801:7")
    other = b"worlds" if fact == "size" else b"world"
    second = an_entry(b"b", size=len(other), items=[maker.item(other)], link_group="801:7")
    if fact != "size":
        second = replace(second, **{fact: 1})
    maker.commit(maker.leaf([first, second]))
    outcome, tree = compare(store, tmp_path, KEY)
    assert outcome == WHOLE
    assert (tree[b"a"].content, tree[b"b"].content) != (tree[b"a"].content, tree[b"a"].content)


@both
@pytest.mark.parametrize("kind", ["d", "i"])
@pytest.mark.parametrize("change", ["longer", "shorter", "gone"])
def test_a_volume_of_another_size_than_its_table_says_is_damage_for_both(
    tmp_path: Path, store: Path, key: str, kind: str, change: str
) -> None:
    maker = StorageMaker(store, key)
    maker.commit(some_files(maker))
    (volume,) = (store / "data").rglob(f"{kind}/0/0")
    if change == "gone":
        volume.unlink()
    else:
        volume.write_bytes(
            volume.read_bytes()[: None if change == "longer" else -1] + b"x" * (change == "longer")
        )
    outcome, tree = compare(store, tmp_path, key)
    assert outcome == LOST
    assert bool(tree) == (kind == "d" or change == "longer")


def test_a_volume_in_a_page_of_the_table_is_looked_at_by_both(tmp_path: Path, store: Path) -> None:
    maker = StorageMaker(store, KEY)
    root = some_files(maker)
    table = maker.page(encode_volumes_page([Volume(maker.backup, "d", 0, len(maker.volumes["d"]) + 1)]))
    index = Volume(maker.backup, "i", 0, len(maker.volumes["i"]))
    maker.commit(root, volumes=(index,), volume_pages=(table,))
    assert compare(store, tmp_path, KEY)[0] == LOST


Changed = Callable[[dict[str, Any]], Any]
BODIES: dict[str, Changed] = {
    "another host": lambda body: body.update(host="other.example"),
    "another name": lambda body: body.update(name="srv"),
    "another date": lambda body: body.update(date="2026-03-01T12:30:01Z"),
    "another type": lambda body: body.update(type="inc"),
    "another chain": lambda body: body.update(chain="0" * 16),
    "another backup": lambda body: body.update(backup="0" * 16),
    "another instance": lambda body: body.update(instance="0" * 16),
    "another format": lambda body: body.update(format=2),
    "a later feature": lambda body: body.update(required=["later"]),
}


@both
@pytest.mark.parametrize("change", BODIES)
def test_a_body_that_contradicts_its_name_is_nothing_for_both(
    tmp_path: Path, store: Path, key: str, change: str
) -> None:
    maker = StorageMaker(store, key)
    maker.commit(some_files(maker), BODIES[change])
    assert compare(store, tmp_path, key)[0] == NOTHING


SLOTS: dict[str, tuple[Callable[[list[dict[str, Any]]], list[dict[str, Any]]], str]] = {
    "a type that nobody knows beside it": (lambda slots: [{"type": "later"}, *slots], WHOLE),
    "twice": (lambda slots: slots * 2, WHOLE),
    "five times": (lambda slots: slots * 5, NOTHING),
    "a clear one beside it": (lambda slots: [*slots, {"type": "clear", "key": "A" * 43 + "="}], NOTHING),
    "none": (lambda slots: slots[:0], NOTHING),
}


@both
@pytest.mark.parametrize("change", SLOTS)
def test_the_slots_of_a_header_are_understood_alike(
    tmp_path: Path, store: Path, key: str, change: str
) -> None:
    maker = StorageMaker(store, key)
    alter, outcome = SLOTS[change]
    header = json.loads(maker.the_header.encoded)
    header["slots"] = alter(header["slots"])
    maker.header = replace(maker.the_header, encoded=json.dumps(header).encode())
    maker.commit(some_files(maker))
    wanted = NOTHING if change == "twice" and not key else outcome
    assert compare(store, tmp_path, key)[0] == wanted


def test_a_list_that_goes_back_is_lost_from_there_on_for_both(tmp_path: Path, store: Path) -> None:
    maker = StorageMaker(store, KEY)
    first = maker.leaf([an_entry(b"b"), an_entry(b"c")])
    second = maker.leaf([an_entry(b"a"), an_entry(b"d")])
    maker.commit(maker.page(encode_node([Child(first, b"b", 2), Child(second, b"a", 2)])))
    assert by_the_engine(store, tmp_path / "engine", KEY) == LOST
    assert by_recover(store, tmp_path / "recover", KEY) == LOST
    assert not (tmp_path / "recover" / "d").exists()


PLANTED: dict[str, tuple[Callable[[Path, Path], Path], str]] = {
    "another key": (lambda store, one: plant(store, entry_of(store, one), 1), WHOLE),
    "raw": (lambda store, one: plant(store, entry_of(store, one), 1, raw=True), WHOLE),
    "the genuine header": (lambda store, one: copy_header(store, one, 1), WHOLE),
    "a copy": (lambda store, one: copy_whole(store, one, 1), WHOLE),
    "another key, later": (lambda store, one: plant(store, entry_of(store, one), 1, later=1), NOTHING),
    "a copy, later": (lambda store, one: copy_whole(store, one, 1, later=1), NOTHING),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_what_is_planted_hides_nothing_from_either(tmp_path: Path, store: Path, planted: str) -> None:
    maker = StorageMaker(store, KEY)
    maker.commit(some_files(maker))
    make, outcome = PLANTED[planted]
    make(store, manifests_of(store)[0])
    assert compare(store, tmp_path, KEY)[0] == outcome


def test_neither_tries_more_than_so_many_headers(tmp_path: Path, store: Path) -> None:
    maker = StorageMaker(store, KEY)
    entry = maker.commit(some_files(maker))
    for number in range(50):
        os.utime(plant(store, entry, number), (1, 1))
    assert compare(store, tmp_path, KEY)[0] == NOTHING
    assert PROGRAM.derive.cache_info().misses == PROGRAM.MOST_DERIVED + 1


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_one_altered_byte_is_seen_alike(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    tmp_path = tmp_path_factory.mktemp("readers")
    key = data.draw(st.sampled_from([KEY, ""]))
    maker = StorageMaker(tmp_path / "store", key)
    maker.commit(some_files(maker))
    objects = sorted(path for path in maker.root.rglob("*") if path.is_file())
    path = data.draw(st.sampled_from(objects))
    content = bytearray(path.read_bytes())
    is_manifest = CATALOG in os.fspath(path)
    position = data.draw(st.integers(0, len(content) - 1))
    cut = data.draw(st.booleans())
    if cut:
        del content[position:]
    else:
        content[position] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    outcome, _tree = compare(maker.root, tmp_path, key)
    assert outcome == (NOTHING if is_manifest else LOST)
    shutil.rmtree(tmp_path)
