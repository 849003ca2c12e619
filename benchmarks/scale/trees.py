# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees of many small files, and small random changes to them."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

FILES_OF_A_DIRECTORY = 100
DIRECTORIES_OF_A_DIRECTORY = 50


def path_of(tree: Path, number: int) -> Path:
    """Return the path of a file: 100 files a directory, 50 directories in each directory above."""
    directory = number // FILES_OF_A_DIRECTORY
    above = directory // DIRECTORIES_OF_A_DIRECTORY
    return tree / f"group-{above:04}" / f"directory-{directory:05}" / f"file-{number:07}.txt"


def content_of(number: int, size: int, generation: int = 0) -> bytes:
    """Return a file's content: its own random bytes, half of them, then text that compresses."""
    own = random.Random(number * 1_000_003 + generation).randbytes(max(8, size // 2))  # noqa: S311 -- no secret
    text = b"the same line of every file, number %d of generation %d\n" % (number, generation)
    return (own + text * (size // len(text) + 1))[:size]


def make_tree(tree: Path, files: int, size: int) -> None:
    """Make ``files`` files of ``size`` bytes; those that exist are kept."""
    for number in range(files):
        path = path_of(tree, number)
        if number % FILES_OF_A_DIRECTORY == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
            present = set(os.listdir(path.parent))
        if path.name not in present:
            path.write_bytes(content_of(number, size))


def change_files(tree: Path, files: int, size: int, share: float, generation: int) -> int:
    """Give random files new contents; return how many.  The same generation changes the same files."""
    chosen = random.Random(generation).sample(range(files), max(1, round(files * share)))  # noqa: S311 -- no secret
    for number in chosen:
        path_of(tree, number).write_bytes(content_of(number, size, generation))
    return len(chosen)


def contents_below(tree: Path) -> Iterator[tuple[str, bytes, int]]:
    """Yield (path below the tree, content, modification time) of every file, sorted by directory."""
    for directory, directories, names in os.walk(tree):
        directories.sort()
        for name in sorted(names):
            path = os.path.join(directory, name)
            with open(path, "rb") as file:
                yield os.path.relpath(path, tree), file.read(), os.stat(path).st_mtime_ns


def same_files(one: Path, other: Path) -> bool:
    """Whether both trees hold the same files with the same contents and times."""
    sentinel = object()
    left, right = contents_below(one), contents_below(other)
    while True:
        pair = next(left, sentinel), next(right, sentinel)
        if pair[0] != pair[1]:
            return False
        if pair[0] is sentinel:
            return True
