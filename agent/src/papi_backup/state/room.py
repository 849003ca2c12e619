# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A full file system, in words: libraries call it an error of input and output, of the disk, or of a lock."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT)
_MAY_BE_FULL = ("SQLITE_IOERR", "SQLITE_CANTOPEN")


def no_space(path: Path | str) -> str:
    """Return what is told of a file that finds no room."""
    return f"no space on the file system of {path}: make room there"


def words_of(path: Path | str, error: OSError) -> str:
    """Return what is told of a failure over ``path``."""
    return no_space(path) if error.errno in _FULL else f"{path}: {error.strerror}"


def lacks_room(path: Path, error: sqlite3.DatabaseError) -> bool:
    """Whether SQLite failed because the file system of its file ``path`` has no room left."""
    name = getattr(error, "sqlite_errorname", "")
    return name == "SQLITE_FULL" or (name.startswith(_MAY_BE_FULL) and _is_full(path.parent))


def _is_full(directory: Path) -> bool:
    try:
        system = os.statvfs(directory)
    except OSError:
        return False
    return system.f_bfree == 0 or (system.f_files > 0 and system.f_ffree == 0)
