# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore still fetches of a large file that it has given up."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from backing_host import ignore
from interposed import InterposingOpener
from restoring import RestoringHost, flip

from papi_backup.engine.restore import run_restore
from papi_backup.model.errors import CorruptedBackupError


def test_a_damaged_file_is_not_fetched_to_its_end(host: RestoringHost, out: Path) -> None:
    (host.tree / "large").write_bytes(os.urandom(48 << 20))
    (host.tree / "small").write_bytes(b"small")
    host.back_up()
    flip(host.volumes("d")[0])
    fetched: set[int] = set()

    def count(name: str, reads: int) -> None:
        if "/d/" in name:
            fetched.add(reads)

    with pytest.raises(CorruptedBackupError):
        run_restore(host.order(out), InterposingOpener(host.base / "store", count), ignore)
    assert (host.restored(out) / "small").read_bytes() == b"small"
    assert len(fetched) < 16  # two batches of the file, of which all would be five times as much
