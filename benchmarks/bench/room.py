# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a data set, its restore and its backups have room on the disk."""

from __future__ import annotations

import shutil
from pathlib import Path

from bench.datasets import Recipe
from bench.missing import MissingError

SPARE = 500_000_000
"""Bytes beside the data: the servers' own, caches, lists."""

_COPIES_ON_S3 = 2
"""SeaweedFS keeps what was deleted until it compacts; a round begins while the one before is there."""

_MARK = ".papi-bench"
"""Lies in a directory that the benchmark may empty."""


def needed_bytes(recipe: Recipe, scale: float, tools: int, storage: str) -> int:
    """Return what one round needs: the source, one restore, and a backup of each tool, none compressed."""
    backups = tools * (_COPIES_ON_S3 if storage == "s3" else 1)
    return int(recipe.size * scale) * (2 + backups) + SPARE


def shortage(needed: int, free: int) -> str:
    """Return why there is too little room; "" where there is enough."""
    if free >= needed:
        return ""
    return f"{needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free"


def empty_directory(path: Path) -> None:
    """Make a directory, or empty what an earlier run left there.  Raises :class:`MissingError`."""
    if path.is_dir() and any(path.iterdir()) and not (path / _MARK).exists():
        raise MissingError(f"{path} is not empty and no benchmark has made it: choose another directory")
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    (path / _MARK).touch()
