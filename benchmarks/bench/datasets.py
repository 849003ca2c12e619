# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data sets: a tree of the machine's own files, a few large files, very many tiny ones."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.texts import Texts

TREE_BYTES = 1_500_000_000
TREE_ROOTS = ("/usr", "/opt", "/etc")
LONGEST_OF_TREE = 4 << 20
"""Larger files stay out of the tree: it stands for many small ones."""

LARGE_BYTES = 2_000_000_000
LARGE_FILES = 8
TINY_FILES = 200_000
TINY_BYTES = (16, 2000)
SAMPLE_BYTES = 10_240

_BLOCK = 1 << 20
_HASH_SPACE = 1 << 32
_FILES_A_DIRECTORY = 40
_DIRECTORIES_A_DIRECTORY = 20


@dataclass(frozen=True, slots=True)
class DataSet:
    """One that was made.  ``sample`` is restored alone; ``size``: bytes that it takes on a disk, about."""

    name: str
    path: Path
    sample: Path
    remark: str
    size: int = 0


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one is made: ``make(path, scale)`` returns a remark.  ``size`` in bytes at scale 1, on a disk."""

    name: str
    size: int
    make: Callable[[Path, float], str]


def make_tree(path: Path, scale: float) -> str:
    """Copy a share of the machine's files, picked by their inodes, so that hard links stay together."""
    wanted = int(TREE_BYTES * scale)
    files, chosen = list(_machine_files()), []
    there = sum(size for unused_name, unused_inode, size in files)
    bound = _HASH_SPACE if there <= wanted else int(_HASH_SPACE * wanted / there)
    chosen = [(name, inode, size) for name, inode, size in files if _hash(inode) < bound]
    first: dict[int, Path] = {}
    copied = 0
    for name, inode, size in chosen:
        target = path / name.relative_to("/")
        _make_parents(path, name.parent)
        with contextlib.suppress(PermissionError):
            if inode in first:
                os.link(first[inode], target)
                continue
            shutil.copy2(name, target, follow_symlinks=False)
            first[inode] = target
            copied += size
    _copy_directory_times(path)
    short = "" if copied > wanted * 0.9 else f" (this machine has no more than {there >> 20} MiB)"
    return f"{len(chosen)} files of {', '.join(TREE_ROOTS)} up to {LONGEST_OF_TREE >> 20} MiB{short}"


def _machine_files() -> Iterator[tuple[Path, int, int]]:
    """Yield path, inode and size of regular files and symbolic links, in the order of their names."""
    for root in TREE_ROOTS:
        device = os.lstat(root).st_dev if os.path.isdir(root) else -1
        for directory, below, names in os.walk(root):
            below[:] = sorted(name for name in below if not os.path.islink(os.path.join(directory, name)))
            with contextlib.suppress(OSError):
                if os.lstat(directory).st_dev != device:
                    below.clear()
                    continue
            for name in sorted(names):
                with contextlib.suppress(OSError):
                    found = os.lstat(os.path.join(directory, name))
                    link = stat.S_ISLNK(found.st_mode)
                    if link or (stat.S_ISREG(found.st_mode) and found.st_size <= LONGEST_OF_TREE):
                        yield Path(directory, name), found.st_ino, 0 if link else found.st_size


def _hash(inode: int) -> int:
    return int.from_bytes(hashlib.blake2b(str(inode).encode(), digest_size=4).digest(), "big")


def _make_parents(path: Path, directory: Path) -> None:
    target = path / directory.relative_to("/")
    if not target.is_dir():
        _make_parents(path, directory.parent)
        target.mkdir()


def _copy_directory_times(path: Path) -> None:
    for directory, *_rest in os.walk(path, topdown=False):
        original = Path("/", os.path.relpath(directory, path))
        with contextlib.suppress(OSError):
            shutil.copystat(original, directory)
            os.chmod(directory, stat.S_IMODE(original.stat().st_mode) | stat.S_IRWXU)


def make_large(path: Path, scale: float) -> str:
    """Write files of random bytes and of text, half of each, and a note."""
    size = int(LARGE_BYTES * scale / LARGE_FILES)
    draw, texts = random.Random(5), Texts(6, size * LARGE_FILES)  # noqa: S311 -- contents, not secrets
    for number in range(LARGE_FILES):
        is_text = number % 2
        with (path / f"{'text' if is_text else 'noise'}-{number}").open("wb") as file:
            left = size
            while left > 0:
                block = texts.block(_BLOCK) if is_text else draw.randbytes(_BLOCK)
                left -= file.write(block[:left])
    (path / "note").write_bytes(texts.block(SAMPLE_BYTES)[:SAMPLE_BYTES])
    return (
        f"{LARGE_FILES} files of {size / 1e6:.0f} MB, half random bytes, half text like a log; one of 10 KB"
    )


def make_tiny(path: Path, scale: float) -> str:
    """Write tiny files of text in nested folders."""
    count = max(1, int(TINY_FILES * scale))
    draw, texts = random.Random(7), Texts(8, count * max(TINY_BYTES))  # noqa: S311 -- contents, not secrets
    directory = path
    for number in range(count):
        if number % _FILES_A_DIRECTORY == 0:
            place = number // _FILES_A_DIRECTORY
            upper, lower = divmod(place, _DIRECTORIES_A_DIRECTORY)
            directory = (
                path / f"group-{upper // _DIRECTORIES_A_DIRECTORY}" / f"part-{upper}" / f"leaf-{lower}"
            )
            directory.mkdir(parents=True)
        size = draw.randint(*TINY_BYTES)
        (directory / f"item-{number:06}.txt").write_bytes(texts.block(size)[:size])
    (path / "note").write_bytes(texts.block(SAMPLE_BYTES)[:SAMPLE_BYTES])
    low, high = TINY_BYTES
    return f"{count} files of {low} to {high} bytes of text in nested folders, and one of 10 KB"


def find_sample(path: Path) -> Path:
    """Return the regular file whose size is next to 10 KB, the first by name among equals."""
    found = [
        (abs(size - SAMPLE_BYTES), name)
        for name, size in ((name, name.lstat().st_size) for name in regular_files(path))
    ]
    return min(found)[1]


def regular_files(path: Path) -> list[Path]:
    """Return the regular files below, in order."""
    return sorted(
        Path(directory, name)
        for directory, unused_below, names in os.walk(path)
        for name in names
        if stat.S_ISREG(os.lstat(os.path.join(directory, name)).st_mode)
    )


RECIPES = (
    Recipe("tree", TREE_BYTES + 96_000 * 2048, make_tree),
    Recipe("large", LARGE_BYTES, make_large),
    Recipe("tiny", TINY_FILES * 4500, make_tiny),
)


def build(recipe: Recipe, path: Path, scale: float) -> DataSet:
    """Make one data set in a new directory."""
    path.mkdir(parents=True)
    remark = recipe.make(path, scale)
    return DataSet(recipe.name, path, find_sample(path), remark, int(recipe.size * scale))
