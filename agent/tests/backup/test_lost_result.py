# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a storage tells of a backup job whose own words were lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from backing_host import Host
from planting import entry_of, manifests_of, plant

from papi_backup.engine.backup import run_backup
from papi_backup.engine.backup.commit import write_manifest
from papi_backup.engine.backup.result import find_backup
from papi_backup.engine.backup.setup import WriterSetup
from papi_backup.model.errors import DecryptionKeyError
from papi_backup.model.job import BackupOrder, JobResult, Progress
from papi_backup.model.secret import Secret

ID = "00000000000000aa"


def order_of(host: Host) -> BackupOrder:
    return replace(host.order("full"), backup=ID)


def backed_up(host: Host) -> JobResult:
    (host.tree / "a").write_bytes(b"a" * 1000)
    return run_backup(order_of(host), host.opener, host.report, lambda: host.clock)


@pytest.mark.parametrize("key", ["", "open sesame"], ids=["clear", "encrypted"])
def test_the_manifest_tells_all_the_figures_that_the_job_told(host: Host, key: str) -> None:
    host.key = key
    told = backed_up(host)
    found = find_backup(host.storage(), order_of(host)).result
    assert found is not None
    assert found.description.startswith(told.description)
    assert replace(found, description=told.description) == told
    path = host.backups()[-1].path
    assert found.high_water == path


def test_warnings_are_counted_though_their_texts_are_lost(host: Host) -> None:
    host.high_water = "ffffffffffffffff"
    backed_up(host)
    found = find_backup(host.storage(), order_of(host)).result
    assert found is not None
    assert (found.warnings, found.warning_count) == ((), 1)
    assert found.description.endswith("Its 1 warnings were lost.")


def test_a_job_that_wrote_no_manifest_made_no_backup(host: Host) -> None:
    backed_up(host)
    other = replace(order_of(host), backup="00000000000000bb")
    assert find_backup(host.storage(), other).result is None


def test_a_manifest_that_was_cut_is_no_backup(host: Host) -> None:
    backed_up(host)
    (manifest,) = (host.base / "storage" / "catalog").rglob("*.v1")
    manifest.write_bytes(manifest.read_bytes()[:-1])
    assert find_backup(host.storage(), order_of(host)).result is None


def test_a_manifest_of_another_installation_does_not_count(host: Host) -> None:
    backed_up(host)
    order = replace(order_of(host), instance_id="fedcba9876543210")
    assert find_backup(host.storage(), order).result is None


def test_a_manifest_that_does_not_open_decides_nothing(host: Host) -> None:
    host.key = "open sesame"
    backed_up(host)
    with pytest.raises(DecryptionKeyError):
        find_backup(host.storage(), replace(order_of(host), encryption_key=Secret("another")))


def test_a_planted_manifest_of_the_same_id_hides_nothing(host: Host) -> None:
    host.key = "open sesame"
    told = backed_up(host)
    (manifest,) = (host.base / "storage" / "catalog").rglob("*.v1")
    date, rest = manifest.name.split("-", 1)
    for year in ("1990", "2025"):
        manifest.with_name(f"{year}{date[4:]}-{rest}").write_bytes(bytes(manifest.stat().st_size))
    found = find_backup(host.storage(), order_of(host)).result
    assert found is not None
    assert found.high_water == told.high_water


def test_a_hundred_of_the_same_id_hide_nothing(host: Host) -> None:
    host.key = "open sesame"
    told = backed_up(host)
    place = host.base / "storage"
    (manifest,) = manifests_of(place)
    genuine = entry_of(place, manifest)
    for number in range(100):
        planted = plant(place, genuine, number, later=-1 - number, instance=host.instance)
        chain_and_date, rest = planted.name.rsplit(f"ff{number:014x}", 1)
        planted.rename(planted.with_name(f"{chain_and_date}{ID}{rest}"))
    found = find_backup(host.storage(), order_of(host)).result
    assert found is not None
    assert found.high_water == told.high_water


def test_of_two_without_encryption_that_open_the_first_on_the_storage_is_the_backup(host: Host) -> None:
    told = backed_up(host)
    genuine = host.opened()
    later = genuine.entry.date + timedelta(seconds=5)
    forged = replace(genuine.manifest, date=f"{later:%Y-%m-%dT%H:%M:%SZ}")
    context = genuine.context(ID)
    setup = WriterSetup(genuine.keys, context, genuine.header.chunker, host.name, "etc", host.file_size)
    made = write_manifest(host.storage(), setup, genuine.header, forged, replace(genuine.entry, date=later))
    assert host.opened(made).manifest == forged
    found = find_backup(host.storage(), order_of(host)).result
    assert found is not None
    assert found.high_water == told.high_water


def test_a_backup_says_that_it_commits_before_its_manifest_is_begun(host: Host) -> None:
    """The agent must know of it before the storage does, or it would take a backup for none."""
    seen: list[tuple[bool, bool]] = []

    def report(progress: Progress) -> None:
        seen.append((progress.committing, bool(host.backups())))

    host.report = report
    backed_up(host)
    assert (True, False) in seen
    assert not any(committing for committing, there in seen if there)
