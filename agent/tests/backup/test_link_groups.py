# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which names are one file: told by device, inode and change time together."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from papi_backup.engine.backup.files import Owners, entry_of, link_group_of


def group_of(path: Path) -> str:
    entry = entry_of(os.fsencode(path).lstrip(b"/"), os.lstat(path), Owners())
    assert entry is not None
    return entry.link_group


def test_all_names_of_a_file_are_one_group(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    assert group_of(tmp_path / "a") == group_of(tmp_path / "b") != ""


def test_a_file_with_one_name_has_no_group(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    assert not group_of(tmp_path / "a")


def test_another_file_that_gets_the_same_device_and_inode_later_is_another_group(tmp_path: Path) -> None:
    """As after a reboot that swaps device numbers: only the change time tells the two apart."""
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    before = group_of(tmp_path / "a")
    os.utime(tmp_path / "a", ns=(0, 0))  # gives the inode a new change time
    assert group_of(tmp_path / "a") != before


@pytest.mark.parametrize("names", [0, 1])
def test_a_file_system_that_does_not_count_names_tells_of_no_links(tmp_path: Path, names: int) -> None:
    """As some in user space, which may give all files one inode number: they are not one file."""
    (tmp_path / "a").write_bytes(b"x")
    status = os.lstat(tmp_path / "a")
    members = list(status)
    members[stat.ST_NLINK] = names
    assert not link_group_of(os.stat_result(members, {"st_ctime_ns": status.st_ctime_ns}))
