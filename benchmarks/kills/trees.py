# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The trees that are backed up: some dozens of files of every kind, some of several volumes."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

from changing_tree import ChangingTree

_NAMES = (b"a", b"b-", b"c d", b".e", b"\xff\xfe", b"caf\xc3\xa9", b"new\nline", b"n" * 200)
_PICKS = 10_000
FEWEST, LARGEST = 15, 12 << 20
"""Files that a tree has at least, bytes that it has at most."""


def grow(root: Path, chance: random.Random) -> None:
    """Fill a tree with every kind of thing."""
    growing = _Growing(root, chance)
    for _number in range(5):
        growing.directory()
    for _number in range(24):
        growing.small()
    for _number in range(3):
        growing.large()
    for step in growing.rest:
        step()
        step()


def change(root: Path, seed: int) -> None:
    """Change a tree a little; what it becomes depends on the seed and on what it was."""
    chance = random.Random(seed)  # noqa: S311 (repeatable, no secret)
    growing = _Growing(root, chance)
    growing.small()
    for _number in range(chance.randint(2, 7)):
        chance.choice(growing.changes)()
    growing.keep_in_bounds()


class _Growing:
    """Draws what the methods of a changing tree are called with."""

    def __init__(self, root: Path, chance: random.Random) -> None:
        self._root = root
        self._chance = chance
        self._tree = ChangingTree(os.fsencode(root))

    @property
    def rest(self) -> tuple[Callable[[], None], ...]:
        """What a tree has of each kind beside files and directories."""
        return (
            self._hard_link,
            self._link,
            self._sparse,
            self._attribute,
            self._mode,
            self._owner,
            self._touch,
        )

    @property
    def changes(self) -> tuple[Callable[[], None], ...]:
        """What happens to a tree."""
        some = (self.small, self.large, self._overwrite, self._append, self._rename, self._remove, self._fifo)
        return (*some, *self.rest)

    def small(self) -> None:
        """Make a small file."""
        self._tree.create(self._pick, self._name, self._chance.randrange(30_000), self._seed)

    def large(self) -> None:
        """Make a file of more than one object."""
        self._tree.create(self._pick, self._name, self._chance.randrange(1 << 18, 5 << 19), self._seed)

    def directory(self) -> None:
        """Make a directory."""
        self._tree.make_directory(self._pick, self._name)

    def keep_in_bounds(self) -> None:
        """Remove the largest files of a tree that became too large, and fill one that became too small."""
        files = [path for path in self._root.rglob("*") if path.is_file() and not path.is_symlink()]
        files.sort(key=lambda path: (path.lstat().st_blocks, os.fsencode(path)))
        while files and sum(path.lstat().st_blocks for path in files) * 512 > LARGEST:
            files.pop().unlink()
        for _number in range(len(files), FEWEST):
            self.small()

    @property
    def _pick(self) -> int:
        return self._chance.randrange(_PICKS)

    @property
    def _seed(self) -> int:
        return self._chance.getrandbits(40)

    @property
    def _name(self) -> bytes:
        return self._chance.choice(_NAMES) + b"%d" % self._chance.randrange(100_000)

    def _hard_link(self) -> None:
        self._tree.make_hard_link(self._pick, self._name, self._pick)

    def _link(self) -> None:
        target = self._chance.choice((b"a", b"../../outside", b"/nowhere", os.fsencode(self._root)))
        self._tree.make_link(self._pick, self._name, target)

    def _fifo(self) -> None:
        self._tree.make_fifo(self._pick, self._name)

    def _sparse(self) -> None:
        size, hole = self._chance.randrange(50_000), self._chance.randrange(3 << 20)
        self._tree.make_sparse(self._pick, self._name, size, hole, self._seed)

    def _overwrite(self) -> None:
        self._tree.overwrite(self._pick, self._pick, self._seed)

    def _append(self) -> None:
        self._tree.append(self._pick, self._chance.randrange(200_000), self._seed)

    def _rename(self) -> None:
        self._tree.rename(self._pick, self._pick, self._name)

    def _remove(self) -> None:
        self._tree.remove(self._pick)

    def _attribute(self) -> None:
        self._tree.change_attribute(self._pick, b"kept", self._chance.randbytes(20))

    def _mode(self) -> None:
        self._tree.change_mode(self._pick, self._chance.randrange(0o10000))

    def _owner(self) -> None:
        self._tree.change_owner(self._pick, self._chance.randrange(100))

    def _touch(self) -> None:
        self._tree.touch(self._pick, self._chance.randrange(1 << 61))
