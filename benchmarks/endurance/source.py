# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree that is backed up: some megabytes, changed before each job by the job's own chance."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

from endurance.drawing import chance_of

DIRECTORIES = 12
FILES = 160
_SMALL, _LARGE = (0, 20_000), (200_000, 700_000)
_LARGE_SHARE = 0.05
_BEGINNING = 1_600_000_000_000_000_000
_SPAN = 100_000_000_000_000_000


def make_source(tree: Path, seed: int, until: int) -> None:
    """Make the tree as it is before job ``until``, numbers beginning at 1."""
    chance = chance_of(seed, 0, "tree")
    tree.mkdir()
    for number in range(DIRECTORIES):
        (tree / f"directory-{number}" / "below").mkdir(parents=True)
    for number in range(FILES):
        _write(chance, tree, number)
    for number in range(1, until):
        change_source(tree, seed, number)


def change_source(tree: Path, seed: int, number: int) -> None:
    """Change the tree as it is changed before job ``number``."""
    chance = chance_of(seed, number, "tree")
    for _unused in range(chance.randint(0, 12)):
        chance.choice((_write, _write, _append, _describe, _remove, _link, _point, _move))(
            chance, tree, chance.randrange(FILES)
        )


def _path(tree: Path, number: int) -> Path:
    below = "below" if number % 3 == 0 else "."
    return tree / f"directory-{number % DIRECTORIES}" / below / f"file-{number:03}"


def _write(chance: random.Random, tree: Path, number: int) -> None:
    """Give a file a new content, of which half compresses."""
    size = chance.randint(*(_LARGE if chance.random() < _LARGE_SHARE else _SMALL))
    path = _path(tree, number)
    path.unlink(missing_ok=True)
    path.write_bytes(chance.randbytes(size // 2) + b"the same line again\n" * (size // 40))
    _describe(chance, tree, number)


def _append(chance: random.Random, tree: Path, number: int) -> None:
    """Add to a file, and to all names that it has."""
    path = _path(tree, number)
    if not path.is_symlink():
        with path.open("ab") as file:
            file.write(chance.randbytes(chance.randint(1, 5_000)))
        _describe(chance, tree, number)


def _describe(chance: random.Random, tree: Path, number: int) -> None:
    """Give a name another mode, owner, time and attribute."""
    path = _path(tree, number)
    mode, owner, time = chance.randrange(0o1000), chance.randrange(1, 60_000), chance.randrange(_SPAN)
    value = chance.randbytes(chance.randint(1, 40))
    if not path.is_file() or path.is_symlink():
        return
    if os.geteuid() == 0:
        os.chown(path, owner, owner)
    os.setxattr(path, "user.papi", value)
    path.chmod(mode if os.geteuid() == 0 else mode | 0o600)
    os.utime(path, ns=(_BEGINNING, _BEGINNING + time))


def _remove(_chance: random.Random, tree: Path, number: int) -> None:
    _path(tree, number).unlink(missing_ok=True)


def _link(chance: random.Random, tree: Path, number: int) -> None:
    """Give a file a second name in the place of another's."""
    path, other = _path(tree, number), _path(tree, chance.randrange(FILES))
    if other.is_file() and not other.is_symlink() and path != other:
        path.unlink(missing_ok=True)
        path.hardlink_to(other)


def _point(chance: random.Random, tree: Path, number: int) -> None:
    """Put a symbolic link in a file's place."""
    target = f"../{chance.randrange(1000)}"
    path = _path(tree, number)
    path.unlink(missing_ok=True)
    path.symlink_to(target)
    os.utime(path, ns=(_BEGINNING, _BEGINNING + number), follow_symlinks=False)


def _move(chance: random.Random, tree: Path, number: int) -> None:
    """Give a directory another time and mode, or make it anew, empty."""
    directory = tree / f"directory-{number % DIRECTORIES}" / "below"
    if chance.random() < 0.1:
        shutil.rmtree(directory)
        directory.mkdir()
    directory.chmod(chance.choice((0o700, 0o755, 0o711)))
    os.utime(directory, ns=(_BEGINNING, _BEGINNING + chance.randrange(_SPAN)))
