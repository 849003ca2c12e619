# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An agent's restores and plans tell when the newest backup that it wrote is no longer on the storage."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from planting import entry_of, manifests_of
from restoring import RestoringHost

from papi_backup.model.errors import CorruptedBackupError, DecryptionKeyError, NoSuchEntityError, PapiError
from papi_backup.model.job import RestoreOrder


@pytest.fixture
def store(host: RestoringHost) -> Path:
    """Where a storage with three backups lies."""
    for number in range(3):
        (host.tree / "file").write_text(str(number))
        host.back_up("inc" if number else "full")
    return host.base / "store"


def order_of(host: RestoringHost, out: Path, **options: str) -> RestoreOrder:
    return host.order(out, high_water=host.backing.high_water, **options)


def test_the_newest_own_backup_that_is_gone_is_told_by_name_and_date(
    host: RestoringHost, store: Path, out: Path
) -> None:
    newest = manifests_of(store)[-1]
    date = entry_of(store, newest).date
    newest.unlink()
    planned = host.plan(order_of(host, out)).warnings
    result = host.restore(order_of(host, out))
    assert (host.restored(out) / "file").read_text() == "1"
    assert planned == result.warnings
    [warning] = planned
    assert f"{host.name_of(newest)} of {date:%Y-%m-%d %H:%M:%S} UTC) is no longer on the storage" in warning
    assert warning in result.description


def test_nothing_is_told_while_it_is_there_whatever_date_is_asked_for(
    host: RestoringHost, store: Path, out: Path
) -> None:
    oldest = entry_of(store, manifests_of(store)[0])
    assert host.plan(order_of(host, out)).warnings == ()
    assert host.plan(host.order(out, date=oldest.date, high_water=host.backing.high_water)).warnings == ()


def test_the_mark_of_an_earlier_release_is_the_backups_id_and_says_as_much(
    host: RestoringHost, store: Path, out: Path
) -> None:
    newest = manifests_of(store)[-1]
    order = replace(order_of(host, out), high_water=entry_of(store, newest).backup)
    assert host.plan(order).warnings == ()
    newest.unlink()
    [warning] = host.plan(order).warnings
    assert f"({order.high_water}) is no longer on the storage" in warning


def _everything_gone(store: Path) -> None:
    for manifest in manifests_of(store):
        manifest.unlink()


def _newest_cut(store: Path) -> None:
    os.truncate(manifests_of(store)[-1], 50)


REFUSALS: list[tuple[Callable[[Path], None], type[PapiError], str]] = [
    (_everything_gone, NoSuchEntityError, "is no longer on the storage"),
    (_newest_cut, CorruptedBackupError, "does not have the size that its name tells"),
]


@pytest.mark.parametrize("refused", REFUSALS, ids=["everything gone", "newest cut"])
def test_a_refusal_tells_it_as_well(
    host: RestoringHost, store: Path, out: Path, refused: tuple[Callable[[Path], None], type[PapiError], str]
) -> None:
    happen, error, told = refused
    happen(store)
    for attempt in (host.restore, host.plan):
        with pytest.raises(error, match="The newest backup that this agent wrote .* " + told):
            attempt(order_of(host, out))


def test_a_wrong_key_tells_it_as_well(host: RestoringHost, store: Path, out: Path) -> None:
    manifests_of(store)[-1].unlink()
    with pytest.raises(DecryptionKeyError, match="is no longer on the storage"):
        host.restore(order_of(host, out, key="another"))


def test_another_host_and_another_installation_hear_nothing_of_it(
    host: RestoringHost, store: Path, out: Path
) -> None:
    manifests_of(store)[-1].unlink()
    assert host.plan(order_of(host, out, host_name="elsewhere.example")).warnings == ()
    assert host.plan(host.order(out)).warnings == ()


def test_a_backup_whose_outcome_was_lost_raises_the_mark_when_it_is_restored(
    host: RestoringHost, store: Path, out: Path
) -> None:
    first, second, third = (os.fspath(one.relative_to(store / "catalog")) for one in manifests_of(store))
    dates: list[datetime] = [entry_of(store, one).date for one in manifests_of(store)]

    def raised(mark: str, date: datetime) -> str:
        order = host.order(out, date=date, high_water=mark)
        return host.restore(order).high_water

    assert raised(second, dates[2]) == third
    assert raised("", dates[2]) == third
    assert raised(entry_of(store, manifests_of(store)[1]).backup, dates[2]) == third
    assert raised(third, dates[2]) == raised(third, dates[1]) == raised(second, dates[0]) == ""
    stranger = replace(host.order(out, high_water=first), instance_id="f" * 16)
    assert host.restore(stranger).high_water == ""


def test_a_backup_under_an_earlier_name_of_this_host_leaves_the_mark_alone(
    host: RestoringHost, store: Path, out: Path
) -> None:
    mark = os.fspath(manifests_of(store)[0].relative_to(store / "catalog")).replace("host", "renamed", 1)
    order = host.order(out, host_name="renamed.example", high_water=mark)
    assert host.restore(order).high_water == ""


def test_a_backup_without_encryption_raises_no_mark_for_anybody_can_have_written_it(
    tmp_path: Path, out: Path
) -> None:
    host = RestoringHost.below(tmp_path, key="")
    host.back_up()
    assert host.restore(host.order(out)).high_water == ""
