# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changes in a data set between two backups."""

from __future__ import annotations

import os
import random
from pathlib import Path

from bench.datasets import regular_files

CHANGED_SHARE = 0.01
APPENDED = 1 << 20
ALTERED = 4096
LARGE_FROM = 1 << 20
"""The largest file is changed inside only where it is this long."""


def apply_changes(path: Path, seed: int) -> str:
    """Change 1 % of the files; append 1 MB to the largest one and alter 4 KiB inside it.  Return a remark."""
    draw = random.Random(seed)  # noqa: S311 -- a choice, not a secret
    files = regular_files(path)
    largest = max(files, key=lambda name: (name.lstat().st_size, name))
    chosen = draw.sample(files, int(len(files) * CHANGED_SHARE))
    for name in chosen:
        _rewrite(name, draw)
    if largest.lstat().st_size < LARGE_FROM:
        return f"{len(chosen)} files changed"
    with largest.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.write(draw.randbytes(APPENDED))
        file.seek(draw.randrange(size - ALTERED))
        file.write(draw.randbytes(ALTERED))
    return (
        f"{len(chosen)} files changed, 1 MB appended and 4 KiB altered inside a file of {size / 1e6:.1f} MB"
    )


def _rewrite(name: Path, draw: random.Random) -> None:
    """Alter some bytes in the middle and append some."""
    with name.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.write(draw.randbytes(64).hex().encode())
        file.seek(size // 2)
        file.write(draw.randbytes(32))
