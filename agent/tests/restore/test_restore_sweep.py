# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which temporary files a restore removes where it writes: leftovers of others, never its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from papi_backup.engine.restore.tree import TEMPORARY_PREFIX, Target, Tree

Make = Callable[[Path], None]
KINDS: list[Make] = [Path.touch, lambda path: path.symlink_to("x"), os.mkfifo]


@pytest.mark.parametrize("make", KINDS, ids=["file", "link", "fifo"])
def test_what_another_process_of_this_restore_is_making_stays(tmp_path: Path, make: Make) -> None:
    (tmp_path / "shared").mkdir()
    root = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    tree = Tree(Target(os.fsencode(tmp_path), "changed"), root, "thisrun")
    sibling = tmp_path / "shared" / os.fsdecode(tree.temporary_prefix + b"1-1")
    leftover = tmp_path / "shared" / (os.fsdecode(TEMPORARY_PREFIX) + "lastrun-1-1")
    make(sibling)
    make(leftover)
    assert not tree.make_directory(b"shared")
    tree.close()
    os.close(root)
    assert os.listdir(tmp_path / "shared") == [sibling.name]
