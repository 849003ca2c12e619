# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When an incremental extends a chain, and every reason to begin a new one instead."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from backing_host import Host
from seen_trees import tree_on_disk

from papi_backup.engine.backup import parent
from papi_backup.engine.catalog import list_backups
from papi_backup.engine.format.header import ChainHeader
from papi_backup.engine.format.names import CATALOG, catalog_name, volume_name
from papi_backup.engine.storage.directory import DirectoryStorage
from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.job import JobResult
from papi_backup.model.secret import Secret


@pytest.fixture
def host(host: Host) -> Host:
    """A host with a full and an incremental backup, encrypted."""
    host.key = "correct horse"
    (host.tree / "file").write_text("one")
    host.back_up("full")
    (host.tree / "file").write_text("two")
    host.back_up("inc")
    (host.tree / "file").write_text("three")
    return host


def place_of(host: Host, name: str) -> Path:
    return host.base / "storage" / name


def volumes(host: Host) -> list[Path]:
    """Return where the volumes lie that the newest backup needs."""
    opened = host.opened()
    return [
        place_of(host, volume_name(opened.prefix, volume.backup, volume.kind, volume.number))
        for volume in opened.manifest.volumes
    ]


def manifest_place(host: Host, entry: CatalogEntry) -> Path:
    return place_of(host, CATALOG + entry.path)


def test_an_incremental_extends_the_chain_of_its_own_newest_backup(host: Host) -> None:
    result = host.back_up("inc")
    full, first, second = host.backups()
    assert [entry.backup_type for entry in (full, first, second)] == ["full", "inc", "inc"]
    assert {full.chain, first.chain, second.chain} == {result.chain}
    opened = host.opened()
    assert opened.manifest.sequence == 2
    assert opened.manifest.parent is not None
    assert opened.manifest.parent.backup == first.backup
    assert "because" not in result.description
    assert host.saved() == tree_on_disk(host.tree)


def test_a_full_that_was_asked_for_begins_a_chain_without_giving_a_reason(host: Host) -> None:
    before = host.backups()[-1].chain
    result = host.back_up("full")
    assert result.chain != before
    assert (result.backup_type, "because" in result.description) == ("full", False)
    assert host.opened().manifest.sequence == 0


def _nothing_there(host: Host) -> None:
    shutil.rmtree(host.base / "storage")
    (host.base / "storage").mkdir()
    host.high_water = ""


def _volume_missing(host: Host) -> None:
    volumes(host)[0].unlink()


def _volume_short(host: Host) -> None:
    os.truncate(volumes(host)[0], 5)


def _volume_long(host: Host) -> None:
    with volumes(host)[-1].open("ab") as file:
        file.write(b"x")


def _manifest_altered(host: Host) -> None:
    place = manifest_place(host, host.backups()[-1])
    data = bytearray(place.read_bytes())
    data[-1] ^= 1
    place.write_bytes(data)


def _page_altered(host: Host) -> None:
    """Alter the previous list itself: its volume is as long as it should be."""
    shutil.rmtree(host.cache_dir)
    [place] = [place for place in volumes(host) if f"/{host.backups()[-1].backup}/i/" in str(place)]
    data = bytearray(place.read_bytes())
    data[100] ^= 1
    place.write_bytes(data)


def _key_changed(host: Host) -> None:
    host.key = "battery staple"


def _key_changed_without_memory(host: Host) -> None:
    host.key = "battery staple"
    host.chain_keys.clear()


def _key_removed(host: Host) -> None:
    host.key = ""


def _raw_before(host: Host) -> None:
    host.key = ""
    host.back_up("full")
    host.key = "correct horse"


def _another_instance(host: Host) -> None:
    host.instance = "fedcba9876543210"
    host.high_water = ""


def _file_size_shrank(host: Host) -> None:
    host.file_size = 2
    host.back_up("full")
    host.file_size = 1


def _clock_was_ahead(host: Host) -> None:
    host.clock += timedelta(days=3)
    host.back_up("inc")
    host.clock -= timedelta(days=3)


def _newer_version(host: Host) -> None:
    newest = host.backups()[-1]
    later = replace(newest, date=newest.date + timedelta(seconds=1))
    name = catalog_name(later).removesuffix(".v1") + ".v2"
    shutil.copy(manifest_place(host, newest), place_of(host, CATALOG + name))
    host.high_water = name


_REASONS: list[tuple[Callable[[Host], None], str]] = [
    (_nothing_there, "there is no backup of this agent yet"),
    (_volume_missing, "1 volumes of the chain are damaged: data/"),
    (_volume_short, "1 volumes of the chain are damaged: data/"),
    (_volume_long, "1 volumes of the chain are damaged: data/"),
    (_manifest_altered, "the previous backup cannot be used: catalog/"),
    (_page_altered, "the previous backup cannot be used: data/"),
    (_key_changed, "the encryption key has changed"),
    (_key_changed_without_memory, "the encryption key has changed"),
    (_key_removed, "the previous backup is encrypted and this one is not"),
    (_raw_before, "the previous backup is not encrypted"),
    (_another_instance, "there is no backup of this agent yet"),
    (_file_size_shrank, "the storage's file size has become too small for the chain"),
    (_clock_was_ahead, "the previous backup is dated more than a day ahead"),
    (_newer_version, "the previous backup is of a newer format version"),
]


@pytest.mark.parametrize(("happen", "reason"), _REASONS, ids=[one.__name__ for one, _reason in _REASONS])
@pytest.mark.parametrize("helpers", [0, 2])
def test_a_new_chain_begins_and_says_why(
    host: Host, happen: Callable[[Host], None], reason: str, helpers: int
) -> None:
    happen(host)
    host.helpers = helpers
    before = {entry.chain for entry in host.backups()}
    result = host.back_up("inc")
    assert result.backup_type == "full"
    assert f"Full because {reason}" in result.description
    assert result.chain not in before
    made = next(entry for entry in host.backups() if entry.chain == result.chain)
    opened = host.opened(made)
    assert (opened.manifest.sequence, opened.manifest.parent) == (0, None)
    assert {volume.backup for volume in opened.manifest.volumes} == {made.backup}
    assert host.saved(made) == tree_on_disk(host.tree)
    # ... and the next one extends it: no reason holds for ever.
    (host.tree / "file").write_text("four")
    result = host.back_up("inc")
    assert (result.backup_type, result.chain) == ("inc", made.chain)


def test_a_chain_ends_after_its_longest_run_of_incrementals(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parent, "LONGEST_CHAIN", 2)
    assert host.back_up("inc").backup_type == "inc"
    result = host.back_up("inc")
    assert "Full because the chain has 2 incrementals" in result.description


def test_a_chain_that_needs_a_later_version_to_be_extended_is_left_alone(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ChainHeader, "extendable", False)
    result = host.back_up("inc")
    assert "Full because the chain needs features that this version does not write" in result.description


def test_old_chains_stay_restorable_with_their_own_key(host: Host) -> None:
    old = host.backups()
    host.key = "battery staple"
    host.back_up("inc")
    assert len(host.backups()) == 3
    before = replace(host, key="correct horse")
    assert [before.saved(entry)[b"file"].size for entry in old] == [3, 3]


def test_a_raised_file_size_does_not_end_a_chain(host: Host) -> None:
    host.file_size = 4
    assert host.back_up("inc").backup_type == "inc"


def test_without_its_memory_an_agent_goes_on_with_its_chain(host: Host) -> None:
    host.chain_keys.clear()
    host.high_water = ""
    shutil.rmtree(host.cache_dir)
    assert host.back_up("inc").backup_type == "inc"
    assert host.saved() == tree_on_disk(host.tree)


def test_two_installations_of_one_name_share_nothing_and_lose_nothing(host: Host, tmp_path: Path) -> None:
    """A cloned machine: same name, key and storage, the same cache and chain keys, another instance."""
    shutil.copytree(host.base / "tree", tmp_path / "clone/tree")
    shutil.copytree(host.cache_dir, tmp_path / "clone/cache")
    clone = host.clone(tmp_path / "clone", "fedcba9876543210")
    clone.high_water = ""
    history: list[tuple[Host, JobResult, int]] = []
    for round_number in range(3):
        for one in (clone, host):
            (one.tree / "file").write_text(f"{one.instance} {round_number}")
            clone.clock = host.clock = max(clone.clock, host.clock)
            result = one.back_up("inc")
            history.append((one, result, round_number))
            assert "other installations" in " ".join(result.warnings)
    chains = {
        one.instance: {made.chain for who, made, _number in history if who is one} for one in (host, clone)
    }
    assert [len(found) for found in chains.values()] == [1, 1]
    assert chains[host.instance] != chains[clone.instance]
    by_path = {entry.path: entry for entry in host.backups()}
    assert len(by_path) == 2 + 6
    for one, result, round_number in history:
        entry = by_path[result.high_water]
        assert entry.instance == one.instance
        assert one.saved(entry)[b"file"].size == len(f"{one.instance} {round_number}")
    assert [host.saved(entry)[b"file"].size for entry in host.backups()[:2]] == [3, 3]


def test_a_vanished_newest_backup_is_noticed_and_told(host: Host) -> None:
    newest = host.backups()[-1]
    manifest_place(host, newest).unlink()
    result = host.back_up("inc")
    assert any(newest.backup in warning and "no longer" in warning for warning in result.warnings)
    assert result.backup_type == "inc"  # the full is whole
    assert host.saved() == tree_on_disk(host.tree)


def test_a_forged_name_of_the_far_future_changes_neither_dates_nor_chains(host: Host) -> None:
    newest = host.backups()[-1]
    forged = replace(newest, date=newest.date + timedelta(days=26_000), backup="ff" * 8, chain="ee" * 8)
    place_of(host, CATALOG + catalog_name(forged)).write_bytes(bytes(forged.manifest_size))
    result = host.back_up("inc")
    assert (result.backup_type, result.backup_date) == ("inc", host.clock)
    assert any("more than a day ahead" in warning for warning in result.warnings)


def test_dates_go_up_even_when_the_clock_goes_back(host: Host) -> None:
    host.clock -= timedelta(hours=12)
    dates = [host.back_up("inc").backup_date, host.back_up("inc").backup_date]
    all_dates = [entry.date for entry in host.backups()]
    assert all_dates == sorted(set(all_dates))
    assert dates == all_dates[2:]
    assert [host.opened(entry).manifest.sequence for entry in host.backups()] == [0, 1, 2, 3]


def test_another_backup_name_and_another_host_are_other_chains(host: Host) -> None:
    other = replace(host, name="other.example", high_water="")
    assert other.back_up("inc").backup_type == "full"
    storage = DirectoryStorage(host.base / "storage")
    assert [len(list_backups(storage, name)) for name in ("host.example", "other.example")] == [2, 1]


def test_the_cached_chain_key_is_of_no_use_without_the_key_it_belongs_to(host: Host) -> None:
    [(chain, cached)] = host.chain_keys.items()
    host.chain_keys[chain] = Secret(cached.reveal().partition(":")[0] + ":" + "00" * 32)
    host.key = "battery staple"
    assert "the encryption key has changed" in host.back_up("inc").description
