# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An incremental of a chain that whoever holds the storage made up: it is given up for a full backup."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from backing_host import Host
from handmade import CONTENT_OF_FILES, HOST, INSTANCE, Forge, entry
from seen_trees import tree_on_disk

from papi_backup.engine.storage.directory import DirectoryStorage


def malformed_items(document: dict[str, Any]) -> None:
    document["ln"] = [1 << 40]


@pytest.mark.parametrize("helpers", [0, 2])
@pytest.mark.parametrize("found", ["in the row of a file that did not change", "by who looks for its chunks"])
def test_a_list_with_malformed_items_is_given_up_for_a_full_backup(
    tmp_path: Path, helpers: int, found: str
) -> None:
    store, tree = tmp_path / "store", tmp_path / "tree"
    for directory in (store, tree, tmp_path / "state"):
        directory.mkdir()
    file = tree / "file"
    file.write_bytes(CONTENT_OF_FILES)
    forge = Forge(store)
    row = entry(os.fsencode(file).lstrip(b"/"), items=forge.content())
    if found.startswith("in the row"):
        status = file.stat()
        row = replace(
            row, mtime_ns=status.st_mtime_ns, ctime_ns=status.st_ctime_ns, inode=status.st_ino, mode=0o644
        )
    forge.backup([row], malformed_items, scan_started_ns=time.time_ns() + 10**10)
    host = Host(tmp_path, lambda: DirectoryStorage(store), name=HOST, instance=INSTANCE, helpers=helpers)
    result = host.back_up("inc")
    assert result.backup_type == "full"
    assert "The file list of the previous backup is damaged: a content item reaches" in result.description
    host.restore(tmp_path / "out", host.clock)
    assert tree_on_disk(tmp_path / "out" / str(tree).lstrip("/")) == tree_on_disk(tree)
