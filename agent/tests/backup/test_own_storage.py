# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A storage that lies in the very tree that is saved: no backup has other backups of its name in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from backing_host import Host

from papi_backup.engine.backup.own_storage import STORAGE_TEXT, OwnStorage
from papi_backup.engine.storage.directory import DirectoryStorage
from papi_backup.model.storage import SshId, SshStorage, StorageAccess

OWN = (b"backups/data/host.example/etc", b"backups/catalog/host.example/etc")


@pytest.fixture
def here(host: Host) -> Host:
    """A host whose storage is ``backups`` in its tree."""
    (host.tree / "backups").mkdir()
    (host.tree / "file").write_text("content")
    host.opener = lambda: DirectoryStorage(host.tree / "backups")
    return host


def on(server: str, base: Path, user: str = "nobody") -> StorageAccess:
    return StorageAccess(SshStorage("s", server, 22, user, 1, os.fspath(base)), SshId(1, "k", 256, ""))


def told(warnings: tuple[str, ...]) -> list[str]:
    return [warning for warning in warnings if STORAGE_TEXT in warning]


def test_backups_are_left_out_whatever_way_leads_there(here: Host) -> None:
    here.back_up()
    second = here.back_up("full")
    assert {path for path, thing in here.saved().items() if thing.kind == "f"} == {b"file"}
    assert len(told(second.warnings)) == 1
    assert here.back_up().files == 1


def test_what_else_lies_beside_the_backups_is_saved(here: Host) -> None:
    here.back_up()
    (here.tree / "backups" / "notes").write_text("mine")
    here.back_up()
    assert b"backups/notes" in here.saved()
    assert not any(path.startswith(OWN) for path in here.saved())


def test_the_first_backup_knows_the_base_of_a_server_on_this_host(here: Host) -> None:
    here.access = on("127.0.0.1", here.tree / "backups")
    begun = here.tree / "backups" / "data" / "host.example" / "etc"
    begun.mkdir(parents=True)
    (begun / "volume").write_text("of the backup that is being made")
    assert len(told(here.back_up().warnings)) == 1
    assert not any(path.startswith(OWN) for path in here.saved())


def test_whoever_makes_such_directories_hides_nothing_of_his_neighbours(host: Host) -> None:
    (host.tree / "share" / "catalog" / "host.example" / "etc").mkdir(parents=True)
    for place in ("share/data", "share/tmp", "share/data/host.example"):
        (host.tree / place).mkdir(exist_ok=True)
        (host.tree / place / "mine").write_text(place)
    host.back_up()
    assert {b"share/data/mine", b"share/tmp/mine", b"share/data/host.example/mine"} <= set(host.saved())


@pytest.mark.parametrize("base", ["elsewhere", "backups"])
def test_what_only_has_such_names_is_saved(here: Host, base: str) -> None:
    """A server that shows another tree may call anything so."""
    for place in ("elsewhere/data", "elsewhere/other", "backups/data", "backups/mine"):
        (here.tree / place).mkdir(parents=True)
        (here.tree / place / "file").write_text(place)
    here.access = on("127.0.0.1", here.tree / base)
    assert told(here.back_up().warnings) == []
    assert {b"elsewhere/data/file", b"backups/data/file", b"backups/mine/file"} <= set(here.saved())


def test_backups_of_other_hosts_and_names_are_saved(host: Host) -> None:
    """Whoever keeps backups for others backs them up like anything else."""
    other = replace(host, opener=lambda: DirectoryStorage(host.tree / "backups"), name="other.example")
    (host.tree / "backups").mkdir()
    (host.tree / "file").write_text("content")
    other.back_up()
    result = host.back_up()
    assert told(result.warnings) == []
    assert any(path.startswith(b"backups/data/other.example/") for path in host.saved())


@pytest.mark.parametrize(
    ("server", "base", "is_here"),
    [
        ("127.0.0.1", lambda place: place, True),
        ("localhost", lambda place: place, True),
        ("192.0.2.1", lambda place: place, False),
        ("no-such-host.invalid", lambda place: place, False),
        ("127.0.0.1", lambda place: place / "missing", False),
    ],
)
def test_a_base_is_here_where_the_way_to_its_server_ends_where_it_begins(
    here: Host, server: str, base: Callable[[Path], Path], is_here: bool
) -> None:
    here.access = on(server, base(here.tree / "backups"))
    assert (OwnStorage.of(here.order()).base is not None) is is_here
