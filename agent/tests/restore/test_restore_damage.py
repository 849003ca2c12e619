# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A damaged backup: what is lost is named, what is sound comes back, nothing altered gets through."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from restoring import RestoringHost, flip

from papi_backup.model.errors import CorruptedBackupError

FILES = 12
SIZE = 700_000


def remove(volume: Path) -> None:
    volume.unlink()


def cut(volume: Path) -> None:
    os.truncate(volume, volume.stat().st_size - 1)


def empty(volume: Path) -> None:
    os.truncate(volume, 0)


def alter(volume: Path) -> None:
    flip(volume)


def alter_throughout(volume: Path) -> None:
    """Damage each segment of it, wherever they begin."""
    volume.write_bytes(bytes(byte ^ 1 for byte in volume.read_bytes()))


DAMAGES = [remove, cut, empty, alter]


@pytest.fixture
def saved(host: RestoringHost) -> RestoringHost:
    """Several volumes of files that do not compress."""
    return saved_files(host, FILES)


def saved_files(host: RestoringHost, files: int) -> RestoringHost:
    for number in range(files):
        (host.tree / f"{number:02}").write_bytes(os.urandom(SIZE))
    os.link(host.tree / "00", host.tree / "zz-linked-to-00")
    host.back_up()
    return host


def broken_restore(host: RestoringHost, out: Path) -> CorruptedBackupError:
    with pytest.raises(CorruptedBackupError) as caught:
        host.restore(host.order(out))
    assert caught.value.code == 4004
    return caught.value


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("helpers", [1, 2])
def test_a_damaged_volume_is_named_and_the_rest_is_restored(
    host: RestoringHost, out: Path, damage: Callable[[Path], None], helpers: int
) -> None:
    saved = saved_files(host, FILES * helpers * 3)
    saved.helpers = helpers
    volume = saved.volumes("d")[-3]
    damage(volume)
    error = broken_restore(saved, out)
    assert saved.name_of(volume) in error.message
    there = {path.name for path in saved.restored(out).iterdir()}
    everything = {path.name for path in saved.tree.iterdir()}
    lost = everything - there
    assert 0 < len(lost) <= 4
    assert there <= everything
    for name in lost:
        assert f"/{name}" in error.message
    for name in there:
        assert (saved.restored(out) / name).read_bytes() == (saved.tree / name).read_bytes()


def test_a_longer_volume_is_named_though_all_of_its_files_are_sound(saved: RestoringHost, out: Path) -> None:
    volume = saved.volumes("d")[0]
    with volume.open("ab") as file:
        file.write(b"more")
    assert f"{saved.name_of(volume)} has" in broken_restore(saved, out).message
    assert saved.seen(out) == saved.seen()


def test_volumes_put_in_each_others_place_are_refused(saved: RestoringHost, out: Path) -> None:
    first, second = saved.volumes("d")[:2]
    aside = first.with_name("aside")
    first.rename(aside)
    second.rename(first)
    aside.rename(second)
    message = broken_restore(saved, out).message
    assert saved.name_of(first) in message
    assert saved.name_of(second) in message


def test_every_name_of_a_lost_file_is_told(saved: RestoringHost, out: Path) -> None:
    for volume in saved.volumes("d"):
        alter_throughout(volume)
    message = broken_restore(saved, out).message
    assert f"{FILES + 1} entries could not be restored" in message
    assert list(saved.restored(out).iterdir()) == []


def test_what_was_there_stays_when_its_replacement_is_lost(saved: RestoringHost, out: Path) -> None:
    saved.restore(saved.order(out))
    for path in saved.restored(out).iterdir():
        if path.name != "zz-linked-to-00":
            path.write_bytes(b"older")
    for volume in saved.volumes("d"):
        volume.unlink()
    broken_restore(saved, out)
    assert {path.read_bytes() for path in saved.restored(out).iterdir()} == {b"older"}


def test_a_lost_index_volume_is_named(saved: RestoringHost, out: Path) -> None:
    volume = saved.volumes("i")[0]
    volume.unlink()
    assert f"{saved.name_of(volume)} is missing" in broken_restore(saved, out).message


def test_a_damaged_page_costs_the_entries_of_that_page(host: RestoringHost, out: Path) -> None:
    for directory in range(40):
        (host.tree / f"{directory:02}").mkdir()
        for number in range(200):
            (host.tree / f"{directory:02}" / f"{number:03}-{os.urandom(50).hex()}").write_bytes(
                b"%d" % number
            )
    host.back_up()
    volume = host.volumes("i")[0]
    assert volume.stat().st_size > 300_000
    flip(volume, 1000)
    error = broken_restore(host, out)
    assert host.name_of(volume) in error.message
    there = [path for path in host.restored(out).rglob("*") if path.is_file()]
    assert 1000 < len(there) < 8000


def test_a_damage_elsewhere_does_not_fail_a_selection_but_is_told(host: RestoringHost, out: Path) -> None:
    for name in ("first", "second", "third"):
        (host.tree / name).write_bytes(os.urandom(900_000))
    host.back_up()
    volume = host.volumes("d")[-1]
    volume.unlink()
    result = host.restore(host.order(out, include=(f"{host.tree}/first",)))
    assert result.files == 1
    assert f"{host.name_of(volume)} is missing; this restore did not need it" in result.description


def test_a_planted_fault_of_the_program_is_not_called_damage(saved: RestoringHost, out: Path) -> None:
    class Faulty:
        def __init__(self, storage: object) -> None:
            self._storage = storage

        def __getattr__(self, name: str) -> object:
            if name == "get":
                raise ZeroDivisionError("planted")
            return getattr(self._storage, name)

    opener = saved.opener

    def faulty() -> object:
        return Faulty(opener())

    saved.opener = faulty  # type: ignore[assignment]
    with pytest.raises(ZeroDivisionError):
        saved.restore(saved.order(out))


def test_an_incremental_needs_the_volumes_of_its_full(saved: RestoringHost, out: Path) -> None:
    of_full = saved.volumes("d")
    (saved.tree / "new").write_bytes(b"new")
    saved.back_up("inc")
    for volume in of_full:
        volume.unlink()
    message = broken_restore(saved, out).message
    assert "is missing" in message
    assert (saved.restored(out) / "new").read_bytes() == b"new"
