# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree on disk that changes as drawn numbers say: every kind of file, every kind of change."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from papi_backup.engine.backup.setup import chunker_for
from papi_backup.engine.format.segment import segment_cap
from papi_backup.model.sizes import MEBIBYTE

_CHUNKER = chunker_for(MEBIBYTE)
_BOUNDS = (_CHUNKER.minimum, _CHUNKER.average, segment_cap(MEBIBYTE), MEBIBYTE, 2 * MEBIBYTE)
LONGEST = 3500
"""Bytes of a path; names of 255 bytes many levels deep would exceed what one call takes."""

names = st.one_of(
    st.sampled_from(
        [b"a", b"b", b"a-b", b"-", b"\n", b" ", b"\xff\xfe", b"caf\xc3\xa9", b"n" * 255, b".x", b"*"]
    ),
    st.binary(min_size=1, max_size=4).map(lambda raw: raw.replace(b"/", b"-").replace(b"\0", b"\1")),
).filter(lambda name: name not in (b".", b".."))
"""Names as bytes."""

sizes = st.one_of(
    st.integers(0, 3000),
    st.sampled_from([0, 1]),
    st.builds(lambda bound, more: bound + more, st.sampled_from(_BOUNDS), st.integers(-1, 1)),
)
"""Sizes in bytes, small ones and those around the bounds of chunks, segments and volumes."""

picks = st.integers(0, 10_000)
"""Numbers that pick one of whatever there is."""

times = st.one_of(
    st.integers(-(1 << 31) * 10**9, (1 << 33) * 10**9),
    st.sampled_from([0, -1, 1, 10**9 - 1, (1 << 31) * 10**9 + 7, -1_000_000_001]),
)
"""Modification times in nanoseconds: before 1970, after 2038."""


@dataclass(frozen=True)
class Change:
    """One method of :class:`ChangingTree` with what it is called with; shows itself in a failed example."""

    method: str
    arguments: dict[str, Any]

    def apply(self, tree: ChangingTree) -> None:
        """Do it."""
        getattr(tree, self.method)(**self.arguments)


def _change(method: str, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Change]:
    return st.builds(Change, st.just(method), st.fixed_dictionaries(arguments))


class ChangingTree:
    """Changes what is below ``root``; what cannot be done as drawn is left undone."""

    def __init__(self, root: bytes) -> None:
        self.root = root
        self.can_own = os.geteuid() == 0

    def _all(self, want: Callable[[os.DirEntry[bytes]], bool]) -> list[bytes]:
        found = []
        pending = [self.root]
        while pending:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if want(entry):
                        found.append(entry.path)
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
        return sorted(found)

    def _any(self, pick: int) -> bytes | None:
        paths = self._all(lambda entry: bool(entry.name))
        return paths[pick % len(paths)] if paths else None

    def _file(self, pick: int) -> bytes | None:
        paths = self._all(lambda entry: entry.is_file(follow_symlinks=False))
        return paths[pick % len(paths)] if paths else None

    def _place(self, pick: int, name: bytes) -> bytes | None:
        """Return a free path in one of the directories."""
        directories = [self.root, *self._all(lambda entry: entry.is_dir(follow_symlinks=False))]
        path = os.path.join(directories[pick % len(directories)], name)
        return None if os.path.lexists(path) or len(path) > LONGEST else path

    def create(self, pick: int, name: bytes, size: int, seed: int) -> None:
        """Make a file; every third seed gives one that compresses."""
        if path := self._place(pick, name):
            with open(path, "wb") as file:
                file.write(content(size, seed))

    def make_directory(self, pick: int, name: bytes) -> None:
        """Make a directory."""
        if path := self._place(pick, name):
            os.mkdir(path)

    def make_link(self, pick: int, name: bytes, target: bytes) -> None:
        """Make a symbolic link, leading wherever."""
        if path := self._place(pick, name):
            os.symlink(target, path)

    def make_hard_link(self, pick: int, name: bytes, other: int) -> None:
        """Give a file one more name."""
        path, file = self._place(pick, name), self._file(other)
        if path and file:
            os.link(file, path)

    def make_fifo(self, pick: int, name: bytes) -> None:
        """Make a FIFO, which must never be opened."""
        if path := self._place(pick, name):
            os.mkfifo(path)

    def make_sparse(self, pick: int, name: bytes, size: int, hole: int, seed: int) -> None:
        """Make a file with a hole in front of its content and one behind."""
        if path := self._place(pick, name):
            with open(path, "wb") as file:
                file.seek(hole)
                file.write(content(min(size, 5000), seed))
                file.truncate(2 * hole + size)

    def overwrite(self, pick: int, position: int, seed: int) -> None:
        """Change bytes in the middle, the size stays."""
        if path := self._file(pick):
            size = os.stat(path).st_size
            if size:
                with open(path, "r+b") as file:
                    file.seek(position % size)
                    file.write(content(min(10, size - position % size), seed))

    def overwrite_secretly(self, pick: int, seed: int) -> None:
        """Change content and put size and modification time back."""
        if path := self._file(pick):
            before = os.stat(path)
            with open(path, "r+b") as file:
                file.write(content(min(10, before.st_size), seed))
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    def append(self, pick: int, size: int, seed: int) -> None:
        """Let a file grow."""
        if path := self._file(pick):
            with open(path, "ab") as file:
                file.write(content(size, seed))

    def truncate(self, pick: int, size: int) -> None:
        """Cut a file, or lengthen it with a hole."""
        if path := self._file(pick):
            os.truncate(path, size)

    def prepend(self, pick: int, seed: int) -> None:
        """Move all of a file's content by a few bytes."""
        if path := self._file(pick):
            with open(path, "rb") as file:
                old = file.read()
            with open(path, "wb") as file:
                file.write(content(1 + seed % 7, seed) + old)

    def rename(self, pick: int, into: int, name: bytes) -> None:
        """Move a file or a directory with all below it."""
        source, target = self._any(pick), self._place(into, name)
        if source and target and not (target + b"/").startswith(source + b"/"):
            os.rename(source, target)

    def remove(self, pick: int) -> None:
        """Remove something, a directory with all below it."""
        if path := self._any(pick):
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)

    def change_mode(self, pick: int, mode: int) -> None:
        """Change permission bits; a directory stays usable for its owner."""
        path = self._any(pick)
        if path and not os.path.islink(path):
            os.chmod(path, mode | (0o700 if os.path.isdir(path) else 0o400))

    def change_owner(self, pick: int, owner: int) -> None:
        """Give something to a number without a name; only root can."""
        if self.can_own and (path := self._any(pick)):
            os.lchown(path, 100_000 + owner % 3, 100_000 + owner % 5)

    def change_attribute(self, pick: int, name: bytes, value: bytes | None) -> None:
        """Set or remove an extended attribute of a file or directory."""
        path = self._any(pick)
        if path and (os.path.isdir(path) or os.path.isfile(path)) and not os.path.islink(path):
            if value is not None:
                os.setxattr(path, b"user." + name, value)
            else:
                with contextlib.suppress(OSError):
                    os.removexattr(path, b"user." + name)

    def touch(self, pick: int, mtime_ns: int) -> None:
        """Set a modification time, of links as well."""
        if path := self._any(pick):
            os.utime(path, ns=(0, mtime_ns), follow_symlinks=False)


def content(size: int, seed: int) -> bytes:
    """Return bytes that only the seed decides."""
    if seed % 3:
        return random.Random(seed).randbytes(size)
    line = b"line %d\n" % seed
    return (line * (size // len(line) + 1))[:size]


_seeds = st.integers(0, 20)
changes = st.one_of(
    _change("create", pick=picks, name=names, size=sizes, seed=_seeds),
    _change("create", pick=picks, name=names, size=st.integers(0, 3000), seed=_seeds),
    _change("make_directory", pick=picks, name=names),
    _change("make_link", pick=picks, name=names, target=names),
    _change("make_hard_link", pick=picks, name=names, other=picks),
    _change("make_fifo", pick=picks, name=names),
    _change("make_sparse", pick=picks, name=names, size=sizes, hole=st.integers(0, 3_000_000), seed=_seeds),
    _change("overwrite", pick=picks, position=picks, seed=_seeds),
    _change("overwrite_secretly", pick=picks, seed=_seeds),
    _change("append", pick=picks, size=sizes, seed=_seeds),
    _change("truncate", pick=picks, size=sizes),
    _change("prepend", pick=picks, seed=_seeds),
    _change("rename", pick=picks, into=picks, name=names),
    _change("remove", pick=picks),
    _change("change_mode", pick=picks, mode=st.integers(0, 0o7777)),
    _change("change_owner", pick=picks, owner=picks),
    _change(
        "change_attribute",
        pick=picks,
        name=st.sampled_from([b"a", b"\xff"]),
        value=st.none() | st.binary(max_size=50),
    ),
    _change("touch", pick=picks, mtime_ns=times),
)
"""Any one change."""
creations = st.one_of(
    _change("create", pick=picks, name=names, size=sizes, seed=_seeds),
    _change("create", pick=picks, name=names, size=st.integers(0, 3000), seed=_seeds),
    _change("make_directory", pick=picks, name=names),
    _change("make_hard_link", pick=picks, name=names, other=picks),
)
"""What a tree begins with."""
