# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup tells while it goes on, in the middle of a large file too."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from backing_host import Host

from papi_backup.engine.storage.directory import DirectoryStorage
from papi_backup.model.job import Progress

LENGTH = 24 << 20


class SlowStorage(DirectoryStorage):
    """A storage that takes its time for each volume."""

    def create(self, name: str, size_hint: int = 0):  # type: ignore[no-untyped-def]
        time.sleep(0.1)
        return super().create(name, size_hint)


@pytest.mark.slow
def test_a_large_file_is_told_of_while_it_is_read(host: Host, tmp_path: Path) -> None:
    (host.tree / "large").write_bytes(os.urandom(LENGTH))
    reports: list[Progress] = []
    host.opener = lambda: SlowStorage(tmp_path / "storage")
    host.report = reports.append
    host.helpers = 1
    result = host.back_up("full")
    assert result.bytes_read == LENGTH
    within = [one for one in reports if one.files_done == 0 and 0 < one.bytes_done < LENGTH]
    assert len(within) > 1
    done = [one.bytes_done for one in reports]
    assert done == sorted(done) and done[-1] <= LENGTH
