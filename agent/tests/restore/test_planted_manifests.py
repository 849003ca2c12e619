# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody who may only add objects hides no backup: what opens is restored, whatever lies beside it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from planting import copy_header, copy_whole, entry_of, manifests_of, plant, strange_header
from restoring import RestoringHost, flip

from papi_backup.engine import keyring
from papi_backup.engine.authentic import Trial, newest_that_opens
from papi_backup.engine.catalog import list_manifests
from papi_backup.engine.crypto import wrapping_key
from papi_backup.engine.format.header import ScryptSlot
from papi_backup.engine.keyring import MOST_HEADERS, KeyRing
from papi_backup.engine.storage.directory import DirectoryStorage
from papi_backup.model.errors import (
    CorruptedBackupError,
    DecryptionKeyError,
    DecryptionKeyMissingError,
    PapiError,
)
from papi_backup.model.secret import Secret


@pytest.fixture
def store(host: RestoringHost) -> Path:
    """Where a storage with two backups lies, of which the newer says "new"."""
    for text in ("old", "new"):
        (host.tree / "file").write_text(text)
        host.back_up("inc" if text == "new" else "full")
    return host.base / "store"


@pytest.fixture
def derived(monkeypatch: pytest.MonkeyPatch) -> list[ScryptSlot]:
    """The slots that a key was derived for."""
    slots: list[ScryptSlot] = []

    def counted(key: Secret, slot: ScryptSlot) -> bytes:
        slots.append(slot)
        return wrapping_key(key, slot)

    monkeypatch.setattr(keyring, "wrapping_key", counted)
    return slots


def first(host: RestoringHost, manifest: Path) -> None:
    """Make a manifest look as if it had been there before all others: SFTP lets its owner say so."""
    del host
    os.utime(manifest, (1, 1))


Plant = Callable[[Path, Path], Path]
PLANTED: dict[str, Plant] = {
    "with a key of its own": lambda store, new: plant(store, entry_of(store, new), 1),
    "raw": lambda store, new: plant(store, entry_of(store, new), 1, raw=True),
    "with the genuine header": lambda store, new: copy_header(store, new, 1),
    "with the genuine slots": lambda store, new: strange_header(store, new, 1),
    "a genuine one under another name": lambda store, new: copy_whole(store, new, 1),
}


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("looks_older", [False, True])
def test_what_is_planted_in_the_same_second_hides_nothing_and_is_named(
    host: RestoringHost, store: Path, out: Path, kind: str, looks_older: bool
) -> None:
    planted = PLANTED[kind](store, manifests_of(store)[-1])
    if looks_older:
        first(host, planted)
    told = host.plan(host.order(out)).warnings
    result = host.restore(host.order(out))
    assert (host.restored(out) / "file").read_text() == "new"
    assert result.warnings == told
    assert planted.name in result.description
    assert "same second" in result.description


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("with a key of its own", DecryptionKeyError),
        ("raw", DecryptionKeyError),
        ("with the genuine header", CorruptedBackupError),
        ("a genuine one under another name", CorruptedBackupError),
    ],
)
def test_what_is_planted_in_a_later_second_is_named_with_the_newest_date_that_opens(
    host: RestoringHost, store: Path, out: Path, kind: str, error: type[PapiError]
) -> None:
    new = manifests_of(store)[-1]
    date = entry_of(store, new).date
    later: dict[str, Plant] = {
        "with a key of its own": lambda store, new: plant(store, entry_of(store, new), 1, later=5),
        "raw": lambda store, new: plant(store, entry_of(store, new), 1, raw=True, later=5),
        "with the genuine header": lambda store, new: copy_header(store, new, 1, later=5),
        "a genuine one under another name": lambda store, new: copy_whole(store, new, 1, later=5),
    }
    planted = later[kind](store, new)
    for attempt in (host.restore, host.plan):
        with pytest.raises(error) as caught:
            attempt(host.order(out))
        assert planted.name in caught.value.message
        assert f"The newest backup that opens is of {date:%Y-%m-%d %H:%M:%S} UTC" in caught.value.message
    assert not out.exists()
    host.restore(host.order(out, date=date))
    assert (host.restored(out) / "file").read_text() == "new"


def test_a_damaged_newest_backup_is_4004_and_the_older_one_is_only_told_of(
    host: RestoringHost, store: Path, out: Path
) -> None:
    old, new = manifests_of(store)
    flip(new, -40)
    with pytest.raises(CorruptedBackupError) as caught:
        host.restore(host.order(out))
    assert caught.value.object_name == host.name_of(new)
    assert f"opens is of {entry_of(store, old).date:%Y-%m-%d %H:%M:%S} UTC" in caught.value.message
    assert not out.exists()


def test_a_cut_newest_backup_is_4004_and_names_the_newest_date_that_opens(
    host: RestoringHost, store: Path, out: Path
) -> None:
    old, new = manifests_of(store)
    os.truncate(new, 100)
    with pytest.raises(CorruptedBackupError, match="does not have the") as caught:
        host.restore(host.order(out))
    assert f"opens is of {entry_of(store, old).date:%Y-%m-%d %H:%M:%S} UTC" in caught.value.message


def test_a_thousand_with_one_header_cost_one_derivation(
    host: RestoringHost, store: Path, out: Path, derived: list[ScryptSlot]
) -> None:
    new = manifests_of(store)[-1]
    model = plant(store, entry_of(store, new), 1)
    for number in range(2, 1000):
        planted = model.with_name(model.name.replace(f"-ff{1:014x}-ffffff", f"-ff{number:014x}-ffffff"))
        planted.write_bytes(model.read_bytes())
        first(host, planted)
    started = time.monotonic()
    result = host.restore(host.order(out))
    assert time.monotonic() - started < 10
    assert (host.restored(out) / "file").read_text() == "new"
    assert len(derived) == 2
    assert "and 989 more" in result.description


@pytest.mark.parametrize("later", [0, 1])
def test_no_more_than_so_many_headers_are_tried(
    host: RestoringHost, store: Path, out: Path, derived: list[ScryptSlot], later: int
) -> None:
    new = manifests_of(store)[-1]
    date = entry_of(store, new).date
    for number in range(100):
        first(host, plant(store, entry_of(store, new), number, later=later * (number + 1)))
    with pytest.raises(DecryptionKeyError) as caught:
        host.restore(host.order(out))
    assert len(derived) == MOST_HEADERS
    assert "more were not tried" in caught.value.message
    if later:  # No older backup stands in for it, and by its own date it is there.
        host.restore(host.order(out, date=date))
        assert (host.restored(out) / "file").read_text() == "new"


def test_a_hundred_that_were_put_there_after_the_backup_are_not_even_before_it(
    host: RestoringHost, store: Path, out: Path
) -> None:
    new = manifests_of(store)[-1]
    for number in range(100):
        plant(store, entry_of(store, new), number)
    result = host.restore(host.order(out))
    assert (host.restored(out) / "file").read_text() == "new"
    assert "more were not tried" in result.description


def test_headers_that_cost_much_end_the_search_with_its_time(host: RestoringHost, store: Path) -> None:
    new = manifests_of(store)[-1]
    for number in range(5):
        first(host, plant(store, entry_of(store, new), number))
    storage = DirectoryStorage(store)
    manifests = list_manifests(storage, "host.example", "etc")
    hours = iter(range(100))
    trial = Trial(storage, KeyRing(Secret("the key")), manifests, monotonic=lambda: next(hours) * 3600.0)
    tried, newer = newest_that_opens(trial, manifests.whole)
    assert tried.opened is None
    assert (len(newer.failed), newer.untried) == (1, 6)


def test_what_this_agent_knows_as_its_own_is_tried_before_anything_else(
    host: RestoringHost, store: Path, out: Path
) -> None:
    new = manifests_of(store)[-1]
    for number in range(100):
        first(host, plant(store, entry_of(store, new), number))
    host.restore(host.order(out, high_water=os.fspath(new.relative_to(store / "catalog"))))
    assert (host.restored(out) / "file").read_text() == "new"


@pytest.mark.parametrize("backups", [1, 3])
def test_a_wrong_key_is_4002_and_costs_one_derivation_a_chain(
    host: RestoringHost, out: Path, derived: list[ScryptSlot], backups: int
) -> None:
    for number in range(backups):
        host.back_up("inc" if number else "full")
    with pytest.raises(DecryptionKeyError, match=r"^The encryption_key does not open catalog/") as caught:
        host.restore(host.order(out, key="another"))
    assert len(derived) == 1
    for manifest in manifests_of(host.base / "store"):
        assert manifest.name in caught.value.message
    assert "opens is of" not in caught.value.message


def test_the_key_of_older_backups_is_told_from_which_date_on_it_opens_none(
    host: RestoringHost, out: Path
) -> None:
    date = host.back_up()
    host.backing.key = "changed"
    for _again in range(3):
        host.back_up("inc")
    with pytest.raises(DecryptionKeyError) as caught:
        host.restore(host.order(out))
    assert f"The newest backup that opens is of {date:%Y-%m-%d %H:%M:%S} UTC" in caught.value.message


def test_without_a_key_what_was_there_first_decides(host: RestoringHost, store: Path, out: Path) -> None:
    new = manifests_of(store)[-1]
    plant(store, entry_of(store, new), 1, raw=True)
    with pytest.raises(DecryptionKeyMissingError, match=new.name):
        host.restore(host.order(out, key=""))


@pytest.mark.parametrize("raw", [False, True])
def test_a_raw_backup_is_not_hidden_by_what_was_planted_after_it(
    tmp_path: Path, out: Path, raw: bool
) -> None:
    host = RestoringHost.below(tmp_path, key="")
    (host.tree / "file").write_text("raw")
    host.back_up()
    store = host.base / "store"
    plant(store, entry_of(store, manifests_of(store)[0]), 1, raw=raw)
    result = host.restore(host.order(out))
    assert (host.restored(out) / "file").read_text() == "raw"
    assert "same second do not open" in result.description


def test_a_raw_backup_among_encrypted_ones_is_a_warning(host: RestoringHost, store: Path, out: Path) -> None:
    host.key = host.backing.key = ""
    host.backing.clock += timedelta(hours=1)
    host.back_up()
    result = host.restore(host.order(out))
    assert any("nothing proves who wrote it" in warning for warning in result.warnings)
    assert len(manifests_of(store)) == 3
