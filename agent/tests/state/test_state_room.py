# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A full file system is told as such, whatever a library makes of it; the rest keeps its own words."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest

from papi_backup.state import room


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "no space on the file system of /state/x: make room there"),
        (errno.EDQUOT, "no space on the file system of /state/x: make room there"),
        (errno.EACCES, "/state/x: Permission denied"),
    ],
)
def test_an_error_of_the_system_over_a_file(number: int, words: str) -> None:
    assert room.words_of("/state/x", OSError(number, os.strerror(number))) == words


@pytest.mark.parametrize(
    ("name", "free_blocks", "free_files", "lacking"),
    [
        ("SQLITE_FULL", 9, 9, True),
        ("SQLITE_IOERR_SHMSIZE", 0, 9, True),
        ("SQLITE_CANTOPEN", 9, 0, True),
        ("SQLITE_IOERR_READ", 9, 9, False),
        ("SQLITE_CORRUPT", 0, 0, False),
    ],
)
def test_an_error_of_sqlite_over_its_file(
    monkeypatch: pytest.MonkeyPatch, name: str, free_blocks: int, free_files: int, *, lacking: bool
) -> None:
    told = SimpleNamespace(f_bfree=free_blocks, f_files=10, f_ffree=free_files)
    monkeypatch.setattr(room.os, "statvfs", lambda _path: told)
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = name
    assert room.lacks_room(Path("/state/state.db"), error) is lacking
