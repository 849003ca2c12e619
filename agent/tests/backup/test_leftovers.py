# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What killed jobs left on a storage is counted by the next jobs of that name, and stays where it is."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from backing_host import Host
from counted_costs import CountingStorage

from papi_backup.engine.backup import leftovers
from papi_backup.engine.storage.directory import DirectoryStorage
from papi_backup.engine.storage.protocol import ObjectInfo, Storage
from papi_backup.model.errors import TransferError

ORPHAN = "data/host.example/etc/{chain}/00000000000000ee/d/0/{number}"


def leave(storage: Storage, chain: str, sizes: tuple[int, ...], host: str = "host.example") -> None:
    for number, size in enumerate(sizes):
        name = ORPHAN.format(chain=chain, number=number).replace("host.example", host)
        writer = storage.create(name, size)
        writer.write(bytes(size))
        writer.commit()


def back_up(host: Host, *kinds: str) -> str:
    for kind in kinds:
        (host.tree / "a").write_text(f"{kind} {host.clock}")
        description = host.back_up("full" if kind == "full" else "inc").description
    return description


def chain_of(host: Host) -> str:
    return host.backups()[-1].chain


class TestCounted:
    def test_nothing_is_said_where_nothing_is_left(self, host: Host) -> None:
        for kinds in (("full",), ("inc",), ("full", "inc")):
            assert "eft over" not in back_up(host, *kinds)

    @pytest.mark.parametrize("kind", ["full", "inc"])
    def test_a_chain_that_never_had_a_backup(self, host: Host, kind: str) -> None:
        back_up(host, "full")
        leave(host.storage(), "00000000000000cc", (100, 23))
        before = host.object_names()
        assert "Left over by killed jobs: 2 objects, 123 bytes." in back_up(host, kind)
        assert before <= host.object_names()

    @pytest.mark.parametrize("kind", ["full", "inc"])
    def test_an_incremental_in_the_chain_that_goes_on(self, host: Host, kind: str) -> None:
        back_up(host, "full", "inc")
        leave(host.storage(), chain_of(host), (50,))
        assert "Left over by killed jobs: 1 objects, 50 bytes." in back_up(host, kind)

    def test_an_incremental_in_an_older_chain_by_the_next_full(self, host: Host) -> None:
        back_up(host, "full", "inc")
        leave(host.storage(), chain_of(host), (50,))
        assert "1 objects, 50 bytes" in back_up(host, "full")
        assert "eft over" not in back_up(host, "inc")
        assert "1 objects, 50 bytes" in back_up(host, "full")

    def test_what_is_there_before_the_first_backup(self, host: Host) -> None:
        leave(host.storage(), "00000000000000cc", (7,))
        assert "1 objects, 7 bytes" in back_up(host, "full")

    def test_objects_that_nobody_finishes_once_they_are_a_day_old(self, host: Host) -> None:
        back_up(host, "full")
        place = host.base / "storage" / "tmp"
        for name, size, hours in (("a" * 32, 5, 25), ("b" * 32, 6, 48), ("c" * 32, 7, 23)):
            (place / name).write_bytes(bytes(size))
            then = (host.clock - timedelta(hours=hours)).timestamp()
            os.utime(place / name, (then, then))
        assert (
            " Unfinished for more than a day on this storage, of whichever job: 2 objects, 11 bytes."
            in back_up(host, "inc")
        )
        assert len(list(place.iterdir())) == 3


class TestNotCounted:
    def test_volumes_whose_manifest_was_cut(self, host: Host) -> None:
        back_up(host, "full")
        (manifest,) = (host.base / "storage" / "catalog").rglob("*.v1")
        manifest.write_bytes(manifest.read_bytes()[:-1])
        assert "eft over" not in back_up(host, "full")

    def test_volumes_of_another_host(self, host: Host) -> None:
        leave(host.storage(), "00000000000000cc", (7,), host="other.example")
        assert "eft over" not in back_up(host, "full")


class NoList(DirectoryStorage):
    def list(self, prefix: str) -> list[ObjectInfo]:
        if prefix == "data/host.example/etc/":
            raise TransferError("this storage lists no more")
        return list(super().list(prefix))


def test_a_storage_that_does_not_tell_costs_no_backup(host: Host, tmp_path: Path) -> None:
    host.opener = lambda: NoList(tmp_path / "storage")
    assert "eft over" not in back_up(host, "full")
    assert len(host.backups()) == 1


def test_it_costs_one_request_and_one_for_each_chain_without_a_backup(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    storage = CountingStorage()
    host = Host(tmp_path, lambda: storage)
    back_up(host, "full", "inc")
    storage.requests.clear()
    back_up(host, "inc")
    before = storage.requests["list"]
    for chain in ("00000000000000c1", "00000000000000c2"):
        leave(storage, chain, (7,))
    storage.requests.clear()
    assert "2 objects, 14 bytes" in back_up(host, "inc")
    assert storage.requests["list"] == before + 2


def test_an_incremental_among_many_chains_looks_at_its_own(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "_MOST_CHAINS", 1)
    back_up(host, "full", "full")
    leave(host.storage(), "00000000000000cc", (7,))
    leave(host.storage(), chain_of(host), (5,))
    assert "1 objects, 5 bytes" in back_up(host, "inc")
