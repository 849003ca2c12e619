# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGTERM in the middle of a backup: nothing of it stays on the storage."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest
from backing_host import Host

from papi_backup.engine.storage.directory import DirectoryStorage
from papi_backup.engine.storage.protocol import ObjectWriter
from papi_backup.engine.termination import orderly_termination

MEBIBYTE = 1 << 20


class Slow(DirectoryStorage):
    def create(self, name: str, size_hint: int = 0) -> ObjectWriter:
        time.sleep(0.3)
        return super().create(name, size_hint)


def files_in(directory: Path) -> list[str]:
    return [str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()]


def start_backup(host: Host) -> int:
    """Back up in a process of its own, as a worker would."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        with orderly_termination():
            host.back_up("full")
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    finally:
        sys.stderr.flush()
        os._exit(status)


@pytest.mark.parametrize("helpers", [0, 2])
def test_a_backup_that_is_terminated_takes_its_volumes_and_unfinished_files_back(
    tmp_path: Path, helpers: int
) -> None:
    place = tmp_path / "storage"
    for name in ("storage", "tree", "state"):
        (tmp_path / name).mkdir()
    for number in range(16):
        (tmp_path / "tree" / str(number)).write_bytes(random.Random(number).randbytes(2 * MEBIBYTE))
    pid = start_backup(Host(tmp_path, lambda: Slow(place), helpers=helpers))
    deadline = time.monotonic() + 30
    while not any(name.startswith("data/") for name in files_in(place)):
        assert time.monotonic() < deadline, "no volume was written"
        time.sleep(0.01)
    os.kill(pid, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 128 + signal.SIGTERM
    assert files_in(place) == []
