# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody plants under this installation's id neither ends a chain nor moves a date."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from backing_host import Host
from planting import copy_header, copy_whole, entry_of, manifests_of, plant

from papi_backup.engine.authentic import SECONDS
from papi_backup.engine.backup.check import check_key
from papi_backup.engine.backup.parent import Earlier, choose_parent
from papi_backup.engine.catalog import list_manifests
from papi_backup.model.errors import CorruptedBackupError, DecryptionKeyError
from papi_backup.model.secret import Secret


@pytest.fixture(params=["the key", ""], ids=["encrypted", "raw"])
def host(host: Host, request: pytest.FixtureRequest) -> Host:
    """A host with a full and an incremental backup."""
    host.key = request.param
    (host.tree / "file").write_text("one")
    host.back_up("full")
    (host.tree / "file").write_text("two")
    host.back_up("inc")
    return host


def store_of(host: Host) -> Path:
    return host.base / "storage"


def newest(host: Host) -> Path:
    return manifests_of(store_of(host))[-1]


def with_a_key_of_its_own(host: Host, later: int) -> Path:
    place = store_of(host)
    return plant(place, entry_of(place, newest(host)), 1, later=later, instance=host.instance)


def raw(host: Host, later: int) -> Path:
    place = store_of(host)
    return plant(place, entry_of(place, newest(host)), 1, raw=True, later=later, instance=host.instance)


def with_the_genuine_header(host: Host, later: int) -> Path:
    return copy_header(store_of(host), newest(host), 1, later=later)


def a_genuine_one_renamed(host: Host, later: int) -> Path:
    return copy_whole(store_of(host), newest(host), 1, later=later)


def of_a_later_version(host: Host, later: int) -> Path:
    planted = copy_whole(store_of(host), newest(host), 1, later=later)
    return planted.rename(planted.with_suffix(".v2"))


Planted = Callable[[Host, int], Path]
PLANTED: list[Planted] = [
    with_a_key_of_its_own,
    raw,
    with_the_genuine_header,
    a_genuine_one_renamed,
    of_a_later_version,
]


@pytest.mark.parametrize("planted", PLANTED, ids=lambda one: one.__name__)
@pytest.mark.parametrize("later", [0, 5])
def test_a_planted_manifest_of_this_installation_is_passed_over_and_named(
    host: Host, planted: Planted, later: int
) -> None:
    before = host.opened(entry_of(store_of(host), newest(host)))
    name = planted(host, later).name
    told = check_key(host.storage(), host.order())
    result = host.back_up("inc")
    assert (result.backup_type, result.chain) == ("inc", before.entry.chain)
    assert told.startswith("the newest backup can be opened")
    made = host.opened(next(entry for entry in host.backups() if entry.path == result.high_water))
    assert made.manifest.parent is not None
    assert made.manifest.parent.tag == before.tag
    if later:
        assert name in told or planted is of_a_later_version
        assert any(name in warning for warning in result.warnings)


def test_a_backup_whose_outcome_was_lost_is_extended_because_it_opens(host: Host) -> None:
    mark = host.high_water
    (host.tree / "file").write_text("three")
    lost = host.back_up("inc").high_water
    host.high_water = mark
    result = host.back_up("inc")
    parent = host.opened(next(entry for entry in host.backups() if entry.path == result.high_water))
    assert parent.manifest.parent is not None
    # Anybody can have written one without encryption: what the mark names is extended.
    extended = next(e.path for e in host.backups() if e.backup == parent.manifest.parent.backup)
    assert extended == (lost if host.key else mark)


@pytest.mark.parametrize("planted", [with_a_key_of_its_own, with_the_genuine_header, a_genuine_one_renamed])
def test_a_planted_date_of_today_does_not_move_the_next_one(host: Host, planted: Planted) -> None:
    planted(host, 23 * 3600)
    assert host.back_up("full").backup_date == host.clock
    assert host.back_up("inc").backup_date == host.clock


def test_a_planted_manifest_of_the_far_future_does_not_end_the_chain(host: Host) -> None:
    copy_header(store_of(host), newest(host), 1, later=3 * 24 * 3600)
    result = host.back_up("inc")
    assert result.backup_type == "inc"
    assert any("more than a day ahead" in warning for warning in result.warnings)


def test_a_clock_that_was_ahead_still_counts_when_the_mark_names_its_backup(host: Host) -> None:
    host.clock += timedelta(hours=5)
    ahead = host.back_up("inc").backup_date
    host.clock -= timedelta(hours=8)
    assert ahead is not None
    assert host.back_up("inc").backup_date == ahead + timedelta(seconds=1)


def plant_a_hundred(host: Host) -> None:
    place = store_of(host)
    beside = entry_of(place, newest(host))
    for number in range(100):
        plant(place, beside, number, later=1 + number, instance=host.instance)


def test_a_hundred_planted_ones_do_not_keep_from_the_own_chain(host: Host) -> None:
    plant_a_hundred(host)
    result = host.back_up("inc")
    assert result.backup_type == "inc"
    assert any("and 90 more" in warning for warning in result.warnings)


@pytest.mark.parametrize("seconds", [0.0, SECONDS], ids=["no time", "time"])
@pytest.mark.parametrize("remembered", [True, False], ids=["chain key known", "chain key forgotten"])
def test_whatever_planted_ones_cost_the_own_backup_is_opened(
    host: Host, seconds: float, remembered: bool
) -> None:
    own = newest(host)
    plant_a_hundred(host)
    if not remembered:
        host.chain_keys.clear()
    storage, order = host.storage(), host.order()
    earlier = Earlier(storage, order, list_manifests(storage, host.name, "etc"), seconds)
    choice = choose_parent(storage, order, earlier, host.clock, None)
    assert choice.reason == ""
    assert choice.parent is not None
    assert choice.parent.opened.entry == entry_of(store_of(host), own)


def test_a_test_of_the_key_opens_the_own_backup_whatever_planted_ones_cost(host: Host) -> None:
    encrypted = bool(host.key)
    plant_a_hundred(host)
    assert check_key(host.storage(), host.order(), seconds=0).startswith("the newest backup can be opened")
    if encrypted:
        host.key = "another"
        with pytest.raises(DecryptionKeyError):
            check_key(host.storage(), host.order(), seconds=0)


def test_a_hundred_other_installations_make_one_short_warning(host: Host) -> None:
    place = store_of(host)
    beside = entry_of(place, newest(host))
    for number in range(100):
        plant(place, beside, number, instance=f"{number + 1:016x}")
    [warning] = host.back_up("inc").warnings
    assert "and 90 more" in warning
    assert len(warning) < 500


def test_without_a_mark_a_key_that_opens_nothing_is_still_told(host: Host) -> None:
    host.high_water = ""
    host.chain_keys.clear()
    order = host.order()
    host.key = "another"
    if order.encryption_key:
        with pytest.raises(DecryptionKeyError):
            check_key(host.storage(), host.order())
        assert "Full because the encryption key has changed" in host.back_up("inc").description
    else:
        assert "Full because the previous backup is not encrypted" in host.back_up("inc").description


def test_the_own_newest_backup_is_told_when_it_is_damaged(host: Host) -> None:
    place = newest(host)
    data = bytearray(place.read_bytes())
    data[-1] ^= 1
    place.write_bytes(data)
    assert Secret(host.key) == host.order().encryption_key
    with pytest.raises(CorruptedBackupError):
        check_key(host.storage(), host.order())
    assert "Full because the previous backup cannot be used" in host.back_up("inc").description
