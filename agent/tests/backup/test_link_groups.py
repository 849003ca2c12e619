# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which names are one file: told by device, inode and change time together."""

from __future__ import annotations

import os
from pathlib import Path

from papi_backup.engine.backup.files import Owners, entry_of


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
