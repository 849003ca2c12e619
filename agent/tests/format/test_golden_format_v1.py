# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A storage of format version 1, written once and kept, must stay restorable by everything that reads it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from described_tree import Description, describe

from papi_backup.engine.catalog import list_backups, list_host_names
from papi_backup.engine.opened import PageReader, missing_volumes, open_backup
from papi_backup.engine.restore import run_restore
from papi_backup.engine.storage.directory import DirectoryStorage
from papi_backup.model.job import Progress, RestoreOptions, RestoreOrder
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage, StorageAccess

PLACE = Path(__file__).parents[3] / "tests" / "golden"
GOLDEN = PLACE / "format-v1"
KNOWN: dict[str, Any] = json.loads((GOLDEN / "expected.json").read_text())
KEYS = {"encrypted": (GOLDEN / "key.txt").read_text(encoding="utf-8").removesuffix("\n"), "raw": ""}
NUMBERS = range(len(KNOWN["backups"]))
every_backup = pytest.mark.parametrize(
    "number", NUMBERS, ids=["full", "first incremental", "second incremental"]
)
both = pytest.mark.parametrize("storage", KEYS)


@pytest.fixture(scope="session")
def storages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both storages, unpacked."""
    directory = tmp_path_factory.mktemp("golden")
    for storage in KEYS:
        shutil.unpack_archive(GOLDEN / f"{storage}.zip", directory / storage)
    return directory


def expected(number: int) -> Description:
    """Return the tree as it was when a backup was made."""
    tree: Description = {}
    for backup in KNOWN["backups"][: number + 1]:
        for path in backup["gone"]:
            del tree[path]
        tree.update(backup["changed"])
    return tree


def restored(out: Path) -> Description:
    """Return the restored tree."""
    return describe(os.fspath(out / KNOWN["root"].lstrip("/")))


def ignore(progress: Progress) -> None:
    """Take a progress report and drop it."""


@both
@every_backup
def test_recover_restores_it(tmp_path: Path, storages: Path, storage: str, number: int) -> None:
    out, date = tmp_path / "out", KNOWN["backups"][number]["date"]
    command = [sys.executable, "-I", os.fspath(PLACE.parents[1] / "agent" / "recover.py")]
    command += [os.fspath(storages / storage), "--host", KNOWN["host"], "--name", KNOWN["name"]]
    command += ["--date", date, "--target", os.fspath(out)]
    if KEYS[storage]:
        command += ["--key-file", os.fspath(GOLDEN / "key.txt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert restored(out) == expected(number)


@both
@every_backup
def test_the_engine_restores_it(tmp_path: Path, storages: Path, storage: str, number: int) -> None:
    out = tmp_path / "out"
    options = RestoreOptions(
        storage_id=1,
        backup_name=KNOWN["name"],
        restore_date=datetime.fromisoformat(KNOWN["backups"][number]["date"]),
        hostname=KNOWN["host"],
        encryption_key=Secret(KEYS[storage]),
        target_dir=os.fspath(out),
    )
    access = StorageAccess(S3Storage("golden", "id", Secret("unused"), "bucket", 1))
    order = RestoreOrder("another.example", access, options, (os.fspath(tmp_path / "state"),), helpers=0)
    run_restore(order, partial(DirectoryStorage, storages / storage), ignore)
    assert restored(out) == expected(number)


@both
def test_it_is_listed_and_complete(storages: Path, storage: str) -> None:
    place = DirectoryStorage(storages / storage)
    assert list_host_names(place) == [KNOWN["host"]]
    entries = list_backups(place, KNOWN["host"], KNOWN["name"])
    assert [entry.date.isoformat() for entry in entries] == [backup["date"] for backup in KNOWN["backups"]]
    assert [entry.backup_type for entry in entries] == ["full", "inc", "inc"]
    for number, entry in enumerate(entries):
        opened = open_backup(place, entry, Secret(KEYS[storage]))
        assert opened.manifest.sequence == number
        assert missing_volumes(place, opened, set(PageReader(place, opened).volumes())) == []
        if opened.manifest.parent is not None:
            assert opened.manifest.parent.backup == entries[number - 1].backup


@both
def test_it_holds_every_kind_of_page_and_entry(storages: Path, storage: str) -> None:
    place = DirectoryStorage(storages / storage)
    first = list_backups(place, KNOWN["host"])[0]
    pages = PageReader(place, open_backup(place, first, Secret(KEYS[storage])))
    leaves = [leaf for _reference, leaf in pages.leaves()]
    entries = [entry for leaf in leaves for entry in leaf.entries()]
    assert len(leaves) > 1
    assert pages.nodes
    assert {entry.type for entry in entries} == {"f", "d", "l", "p"}
    assert any(entry.item_pages is not None for entry in entries)
    assert any(entry.link_group for entry in entries)
    assert any(entry.xattrs for entry in entries)
    assert any(entry.flags for entry in entries)
    assert any(item.segment is None for entry in entries for item in pages.items(entry))
