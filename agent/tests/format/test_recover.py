# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""recover.py restores with nothing of the product, believes nothing unverified, and stays in its target."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from backing_host import Host
from seen_trees import tree_on_disk
from storage_maker import StorageMaker, an_entry

from papi_backup.engine.format.entries import ANCESTOR, DIRECTORY, FIFO, SYMLINK, Entry
from papi_backup.engine.format.pages import (
    Child,
    ItemChild,
    encode_items_node,
    encode_items_page,
    encode_node,
)
from papi_backup.engine.format.references import Item, PageRef
from papi_backup.engine.storage.directory import DirectoryStorage

KEY = "the key"
RECOVER = Path(__file__).parents[2] / "recover.py"
IMPORTABLE = {"zstandard", "cryptography"}
both = pytest.mark.parametrize("key", [KEY, ""], ids=["encrypted", "raw"])


def recover(objects: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run recover.py as a stranger would: no environment, nothing of the product importable."""
    command = [sys.executable, "-I", os.fspath(RECOVER), os.fspath(objects), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={}, cwd="/")


def restore(
    objects: Path, target: Path, key: str = "", *more: str, name: str = "etc"
) -> subprocess.CompletedProcess[str]:
    """Restore into ``target``."""
    arguments = ["--host", "Host.Example", "--name", name, "--target", os.fspath(target), *more]
    if key:
        key_file = target.with_name("key-file")
        key_file.write_text(key + "\n")
        arguments += ["--key-file", os.fspath(key_file)]
    return recover(objects, *arguments)


def test_it_imports_nothing_but_the_standard_library_cryptography_and_zstandard() -> None:
    imported = set()
    for node in ast.walk(ast.parse(RECOVER.read_text())):
        if isinstance(node, ast.Import):
            imported.update(alias.name.partition(".")[0] for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported - set(sys.stdlib_module_names) == IMPORTABLE
    assert len(RECOVER.read_text().splitlines()) <= 450


def grow(tree: Path) -> None:
    """Fill a tree with one of everything that needs no root."""
    tree.mkdir(exist_ok=True)
    (tree / "deep" / "er").mkdir(parents=True)
    (tree / "deep" / "er" / os.fsdecode(b"not utf-8 \xff\n")).write_bytes(b"x" * 1000)
    (tree / "deep-er").write_bytes(b"")
    (tree / "two megabytes").write_bytes(os.urandom(2 << 20))
    os.link(tree / "two megabytes", tree / "deep" / "linked")
    (tree / "to nowhere").symlink_to("/does/not/exist")
    os.mkfifo(tree / "pipe", 0o640)
    with open(tree / "sparse", "wb") as file:
        file.truncate(3 << 20)
        file.seek(1 << 20)
        file.write(b"island")
    (tree / "mode").write_bytes(b"4755")
    (tree / "mode").chmod(0o4755)
    os.setxattr(tree / "mode", "user.attribute", b"\0value")
    os.utime(tree / "mode", ns=(0, -1_500_000_001))
    os.utime(tree / "to nowhere", ns=(0, 12345), follow_symlinks=False)
    os.utime(tree / "deep", ns=(0, 1 << 33))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host with an encrypted directory storage."""
    (tmp_path / "store").mkdir()
    grow(tmp_path / "tree")
    return Host(tmp_path, lambda: DirectoryStorage(tmp_path / "store"), KEY, paths=("",))


@both
def test_a_full_and_an_incremental_come_back_identical(tmp_path: Path, host: Host, key: str) -> None:
    host.key, host.paths = key, (os.fspath(host.tree),)
    wanted = []
    for kind in ("full", "inc", "inc"):
        host.back_up("full" if kind == "full" else "inc")
        wanted.append(tree_on_disk(host.tree))
        (host.tree / "deep" / "new").write_bytes(os.urandom(5000))
        (host.tree / "mode").write_bytes(b"changed " + kind.encode())
        (host.tree / "deep-er").unlink(missing_ok=True)
    for number, entry in enumerate(host.backups()):
        out = tmp_path / f"out-{number}"
        date = f"{entry.date:%Y-%m-%d %H:%M:%S}"
        done = restore(tmp_path / "store", out, key, "--date", date)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        assert entry.path in done.stdout
        assert tree_on_disk(out / os.fspath(host.tree).lstrip("/")) == wanted[number]


def test_the_newest_backup_is_taken_when_no_date_is_given(tmp_path: Path, host: Host) -> None:
    host.paths = (os.fspath(host.tree),)
    host.back_up("full")
    (host.tree / "newer").write_bytes(b"")
    host.back_up("inc")
    assert restore(tmp_path / "store", tmp_path / "out", KEY).returncode == 0
    assert (tmp_path / "out" / os.fspath(host.tree / "newer").lstrip("/")).exists()


@both
def test_the_list_needs_no_key(tmp_path: Path, key: str) -> None:
    entry = StorageMaker(tmp_path, key).commit(None)
    done = recover(tmp_path, "--list")
    assert done.returncode == 0
    assert done.stdout.split() == ["2026-03-01T12:30:00Z", "full", "enc" if key else "raw", entry.path]


@pytest.mark.parametrize(
    ("made_with", "given", "says"),
    [(KEY, "another", "does not open"), (KEY, "", "is encrypted"), ("", KEY, "not encrypted")],
)
def test_a_wrong_missing_or_needless_key_restores_nothing(
    tmp_path: Path, made_with: str, given: str, says: str
) -> None:
    StorageMaker(tmp_path / "store", made_with).commit(None)
    done = restore(tmp_path / "store", tmp_path / "out", given)
    assert done.returncode == 2
    assert says in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["srv", "../etc"])
def test_a_backup_that_is_not_there_is_said_so(tmp_path: Path, name: str) -> None:
    StorageMaker(tmp_path / "store").commit(None)
    done = restore(tmp_path / "store", tmp_path / "out", name=name)
    assert (done.returncode, done.stderr) == (2, "recover: there is no such backup\n")


def test_a_date_before_the_oldest_backup_restores_nothing(tmp_path: Path) -> None:
    StorageMaker(tmp_path / "store").commit(None)
    assert restore(tmp_path / "store", tmp_path / "out", "", "--date", "2026-03-01 12:29:59").returncode == 2


def test_a_manifest_that_was_cut_is_no_reason_to_restore_an_older_backup(tmp_path: Path, host: Host) -> None:
    host.paths = (os.fspath(host.tree),)
    host.back_up("full")
    host.back_up("inc")
    older, newest = host.backups()
    manifest = tmp_path / "store" / "catalog" / newest.path
    manifest.write_bytes(manifest.read_bytes()[:-1])
    done = restore(tmp_path / "store", tmp_path / "out", KEY)
    assert done.returncode == 2
    assert newest.path in done.stderr
    date = f"{older.date:%Y-%m-%d %H:%M:%S}"
    assert restore(tmp_path / "store", tmp_path / "out", KEY, "--date", date).returncode == 0


def test_a_name_of_no_possible_date_hides_nothing(tmp_path: Path) -> None:
    entry = StorageMaker(tmp_path / "store").commit(None)
    manifest = tmp_path / "store" / "catalog" / entry.path
    manifest.with_name(manifest.name.replace("20260301", "20260231")).write_bytes(b"")
    assert restore(tmp_path / "store", tmp_path / "out").returncode == 0


def test_a_target_in_use_is_left_alone(tmp_path: Path) -> None:
    StorageMaker(tmp_path / "store").commit(None)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    done = restore(tmp_path / "store", tmp_path / "out")
    assert done.returncode == 2
    assert os.listdir(tmp_path / "out") == ["mine"]


def everything(maker: StorageMaker) -> PageRef:
    """Store a list with every kind of page and return its root."""
    item = maker.item(b"hello")
    pages = [maker.page(encode_items_page([item] * 2)), maker.page(encode_items_page([item]))]
    lists = maker.page(encode_items_node([ItemChild(pages[0], 10), ItemChild(pages[1], 5)]))
    leaves = [
        [an_entry(b"", DIRECTORY, flags=(ANCESTOR,)), an_entry(b"srv", DIRECTORY, flags=(ANCESTOR,))],
        [an_entry(b"srv/a", size=5, items=[item], link_group="g"), an_entry(b"srv/d", DIRECTORY, mode=0o500)],
        [an_entry(b"srv/d/b", size=5, items=[item], link_group="g"), an_entry(b"srv/d/p", FIFO)],
        [an_entry(b"srv/l", SYMLINK, link_target=b"d"), an_entry(b"srv/long", size=15, item_pages=lists)],
        [an_entry(b"srv/z", size=9, items=[Item(None, 0, 4, bytes(16)), item])],
    ]
    children = [Child(maker.leaf(leaf), leaf[0].path, len(leaf)) for leaf in leaves]
    inner = Child(maker.page(encode_node(children[:3])), b"", 6)
    return maker.page(encode_node([inner, *children[3:]]))


def contents(root: Path) -> dict[str, bytes]:
    """Return what stands in every regular file."""
    found = (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    return {os.fspath(path.relative_to(root)): path.read_bytes() for path in found}


HONEST = {
    "srv/a": b"hello",
    "srv/d/b": b"hello",
    "srv/long": b"hello" * 3,
    "srv/z": b"\0\0\0\0hello",
}


@both
def test_every_kind_of_page_is_read(tmp_path: Path, key: str) -> None:
    maker = StorageMaker(tmp_path / "store", key)
    maker.commit(everything(maker))
    done = restore(tmp_path / "store", tmp_path / "out", key)
    assert (done.returncode, done.stderr) == (0, "")
    out = tmp_path / "out"
    assert contents(out) == HONEST
    assert (out / "srv/a").samefile(out / "srv/d/b")
    assert os.readlink(out / "srv/l") == "d"
    assert (out / "srv/d").stat().st_mode & 0o7777 == 0o500


def damages(data: bytes) -> Iterator[bytes]:
    """Yield some damaged versions of an object: a flip in every 16 bytes, cuts and an extension."""
    for position in range(0, len(data), 16):
        altered = bytearray(data)
        altered[position] ^= 0x10
        yield bytes(altered)
    yield from (data[:-1], data[: len(data) // 2], b"", data + b"\0")


def as_module() -> ModuleType:
    """Return recover.py as a module, for tests of thousands of runs."""
    spec = importlib.util.spec_from_file_location("recover", RECOVER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@both
def test_no_altered_byte_ever_reaches_a_file(tmp_path: Path, key: str) -> None:
    program = as_module()
    maker = StorageMaker(tmp_path / "store", key)
    entry = maker.commit(everything(maker))
    (found,) = program.catalog(os.fspath(tmp_path / "store"), "host.example", "etc")
    assert found.path == entry.path
    for path in sorted(path for path in (tmp_path / "store").rglob("*") if path.is_file()):
        honest = path.read_bytes()
        for number, damaged in enumerate(damages(honest)):
            path.write_bytes(damaged)
            out = tmp_path / f"{path.name}-{number}"
            out.mkdir()
            try:
                backup = program.Backup(os.fspath(tmp_path / "store"), found, key.encode())
            except (program.DamagedError, program.RefusedError):
                continue
            target = program.Target(backup, os.open(out, os.O_RDONLY))
            target.restore()
            assert contents(out).items() <= HONEST.items()
            assert target.lost or contents(out) == HONEST
            shutil.rmtree(out)
        path.write_bytes(honest)


def test_what_is_intact_comes_back_when_a_volume_is_missing(tmp_path: Path) -> None:
    maker = StorageMaker(tmp_path / "store")
    maker.commit(everything(maker))
    (volume,) = (tmp_path / "store" / "data").rglob("d/0/0")
    volume.unlink()
    done = restore(tmp_path / "store", tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr.count("LOST") == 5
    assert "/d/0/0" in done.stderr
    assert os.readlink(tmp_path / "out" / "srv" / "l") == "d"
    assert contents(tmp_path / "out") == {}


def rename(new: str) -> Callable[[dict[str, Any]], None]:
    return lambda page: page.update(n=[new])


@pytest.mark.parametrize(
    "change",
    [
        rename(".."),
        rename("../evil"),
        rename("/evil"),
        rename(""),
        rename("a\0b"),
        rename("\ud800"),
        lambda page: page.update(dirs=["../.."]),
        lambda page: page.update(dirs=["/"]),
        lambda page: page.update(dirs=["a//b"]),
        lambda page: page.update(backups=["../../../x"]),
        lambda page: page.update(c=[0]),
        lambda page: page.update(x={"0": 1}),
    ],
    ids=range(12),
)
def test_a_path_that_leaves_the_target_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    maker = StorageMaker(tmp_path / "store")
    maker.commit(maker.leaf([an_entry(b"evil", size=5, items=[maker.item(b"hello")])], change))
    before = sorted(os.listdir(tmp_path))
    done = restore(tmp_path / "store", tmp_path / "out")
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert sorted({*os.listdir(tmp_path)} - {"out"}) == before
    assert contents(tmp_path / "out") == {}


def link_then_file(maker: StorageMaker) -> PageRef:
    link = an_entry(b"x", SYMLINK, link_target=os.fsencode(maker.root.parent / "outside"))
    return maker.leaf([link, an_entry(b"x/evil", size=5, items=[maker.item(b"hello")])])


def link_then_directory(maker: StorageMaker) -> PageRef:
    link = maker.leaf([an_entry(b"x", SYMLINK, link_target=os.fsencode(maker.root.parent / "outside"))])
    again = maker.leaf([an_entry(b"x", DIRECTORY), an_entry(b"x/evil")])
    return maker.page(encode_node([Child(link, b"x", 1), Child(again, b"x/", 2)]))


@pytest.mark.parametrize("make", [link_then_file, link_then_directory])
def test_nothing_is_written_behind_a_link(tmp_path: Path, make: Callable[[StorageMaker], PageRef]) -> None:
    (tmp_path / "outside").mkdir()
    maker = StorageMaker(tmp_path / "store")
    maker.commit(make(maker))
    done = restore(tmp_path / "store", tmp_path / "out")
    assert done.returncode in (1, 2)
    assert os.listdir(tmp_path / "outside") == []


def test_two_files_with_one_link_group_but_other_facts_stay_two(tmp_path: Path) -> None:
    maker = StorageMaker(tmp_path / "store")
    entries: list[Entry] = [
        an_entry(b"a", size=5, items=[maker.item(b"hello")], link_group="801:7"),
        an_entry(b"b", size=5, items=[maker.item(b"world")], link_group="801:7", ctime_ns=1),
    ]
    maker.commit(maker.leaf(entries))
    assert restore(tmp_path / "store", tmp_path / "out").returncode == 0
    assert contents(tmp_path / "out") == {"a": b"hello", "b": b"world"}


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header["slots"][0].update(n=1 << 30),
        lambda header: header["slots"][0].update(r=1 << 20),
        lambda header: header.update(required=["later"]),
        lambda header: header.update(slots=[]),
        lambda header: header.pop("slots"),
    ],
    ids=["cost", "memory", "feature", "no slots", "no list of slots"],
)
def test_a_hostile_header_restores_nothing(tmp_path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    maker = StorageMaker(tmp_path / "store", KEY)
    entry = maker.commit(None)
    manifest = tmp_path / "store" / "catalog" / entry.path
    data = manifest.read_bytes()
    length = int.from_bytes(data[8:12], "big")
    header = json.loads(data[12 : 12 + length])
    change(header)
    encoded = json.dumps(header, separators=(",", ":")).encode().ljust(length)
    changed = data[:8] + len(encoded).to_bytes(4, "big") + encoded + data[12 + length :]
    manifest.unlink()
    manifest.with_name(manifest.name.replace(f"-{len(data)}.v1", f"-{len(changed)}.v1")).write_bytes(changed)
    done = restore(tmp_path / "store", tmp_path / "out", KEY)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
