# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A source that is empty and was not: its file system is not mounted, or somebody has to say otherwise."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from backing_host import Host

from papi_backup.model.errors import InvalidParameterError
from papi_backup.model.schedule import BackupType


@pytest.fixture
def data(host: Host) -> Path:
    """A source beside the tree, with a file in it."""
    data = host.base / "data"
    data.mkdir()
    (data / "file").write_text("content")
    (host.tree / "other").write_text("other")
    host.paths = (os.fspath(host.tree), os.fspath(data))
    return data


@pytest.mark.parametrize("kind", ["full", "inc"])
def test_a_source_that_had_files_and_is_empty_now_fails_the_job_by_name(
    host: Host, data: Path, kind: BackupType
) -> None:
    host.back_up()
    before = host.object_names()
    (data / "file").unlink()
    with pytest.raises(
        InvalidParameterError, match=f"has files there: '{data}'. Perhaps .* not mounted"
    ) as failed:
        host.back_up(kind)
    assert failed.value.parameter == "paths"
    assert host.object_names() == before


@pytest.mark.parametrize("key", ["", "a key of many words"])
def test_the_refusal_goes_on_until_the_files_are_back(host: Host, data: Path, key: str) -> None:
    host.key = key
    host.back_up()
    aside = data.rename(data.with_name("aside"))
    data.mkdir()
    for kind in ("inc", "full", "inc"):
        with pytest.raises(InvalidParameterError, match="not mounted"):
            host.back_up(kind)
    data.rmdir()
    aside.rename(data)
    assert host.back_up().files == 2


def test_any_file_in_it_says_that_it_is_meant(host: Host, data: Path) -> None:
    host.back_up()
    (data / "file").rename(data / ".empty-on-purpose")
    assert host.back_up().files == 2


def test_a_source_that_had_no_files_may_be_empty(host: Host, data: Path) -> None:
    (data / "file").unlink()
    (data / "directory").mkdir()
    host.back_up()
    (data / "directory").rmdir()
    host.back_up()
    assert host.back_up("full").files == 1


def test_a_source_that_is_new_may_be_empty(host: Host, data: Path) -> None:
    host.back_up()
    (host.base / "new").mkdir()
    host.paths = (*host.paths, os.fspath(host.base / "new"))
    assert host.back_up().files == 2


def test_the_first_backup_takes_empty_sources(host: Host, data: Path) -> None:
    (data / "file").unlink()
    assert host.back_up().files == 1


def test_neighbours_of_similar_names_prove_nothing(host: Host, data: Path) -> None:
    """``data-2`` and ``data.old`` sort beside ``data`` and are not below it."""
    for name in ("data-2", "data.old", "data2"):
        (host.base / name).mkdir()
        (host.base / name / "file").write_text(name)
    (data / "file").unlink()
    host.paths = tuple(os.fspath(host.base / name) for name in ("data", "data-2", "data.old", "data2"))
    host.back_up()
    assert host.back_up().files == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system and take it away")
def test_a_file_system_that_is_not_mounted_is_noticed(host: Host, data: Path) -> None:
    (data / "file").unlink()
    mount, unmount = (shutil.which(name) or name for name in ("mount", "umount"))
    subprocess.run([mount, "-t", "tmpfs", "tmpfs", os.fspath(data)], check=True)
    try:
        (data / "there").write_text("content")
        host.back_up()
    finally:
        subprocess.run([unmount, os.fspath(data)], check=True)
    with pytest.raises(InvalidParameterError, match="not mounted"):
        host.back_up()
