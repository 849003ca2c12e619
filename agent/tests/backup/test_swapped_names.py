# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that stand for something else between being found and being read.

Whoever owns a directory can have that at any moment.  What lies elsewhere is never saved under such a name,
and a name that was there all the time is in the backup, as what it was when it was looked at once more.
"""

from __future__ import annotations

import os
import random
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from backing_host import Host
from exchanging import exchange, exchanging
from memory_storage import MemoryStorage, MemoryWriter
from seen_trees import Thing, tree_on_disk

from papi_backup.engine.backup.sources import normalise_sources
from papi_backup.engine.backup.walk import Walker
from papi_backup.engine.patterns import Excludes

FILES = 40
LOOPS = 8
_MANY_BYTES = 17 << 20
"""More than a batch: whatever comes before such a file is read before the walk's next names are looked at."""


class Meanwhile(MemoryStorage):
    """Does something to the sources when the first segment is written: they were found, and few were read."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__()
        self._acts: Iterator[Callable[[], object]] = iter([act])

    def create(self, name: str, size_hint: int = 0) -> MemoryWriter:
        if "/d/" in name:
            next(self._acts, lambda: None)()
        return super().create(name, size_hint)


class Estate:
    """A user's directory ``u`` in the tree, and a link in it to what only others may enter."""

    def __init__(self, base: Path) -> None:
        self.tree = base / "tree"
        self.mine, self.link = self.tree / "u" / "a", self.tree / "u" / "z"
        self.vault = base / "vault"
        for place, content in ((self.mine, "mine"), (self.vault, "not mine")):
            (place / "d").mkdir(parents=True)
            for number in range(FILES):
                (place / "d" / f"{number}").write_text(content)
        (self.vault / "d" / "only there").write_text("not mine")
        self.vault.chmod(0o700)
        self.link.symlink_to(self.vault)
        (self.tree / "0").write_bytes(random.Random(0).randbytes(3 << 20))
        self.foreign = {
            (thing.content, thing.size) for thing in tree_on_disk(self.vault).values() if thing.kind == "f"
        }

    def is_in(self, saved: Iterable[Thing]) -> bool:
        """Return whether any file of the others' directory is among what was saved."""
        return any((thing.content, thing.size) in self.foreign for thing in saved)


@pytest.fixture
def estate(tmp_path: Path) -> Estate:
    return Estate(tmp_path)


def a_link(estate: Estate) -> Path:
    return estate.link


def another_directory(estate: Estate) -> Path:
    """Of another user in a directory that both may write: whoever cannot enter it may still rename it."""
    return estate.vault


@pytest.mark.parametrize("other", [a_link, another_directory], ids=["a link", "a directory"])
def test_what_took_a_directorys_name_before_its_files_were_read_lends_them_nothing(
    tmp_path: Path, estate: Estate, other: Callable[[Estate], Path]
) -> None:
    host = Host(tmp_path, Meanwhile(lambda: exchange(estate.mine, other(estate))))
    result = host.back_up("full")
    assert not estate.is_in(host.saved().values())
    assert len(result.warnings) == FILES
    assert all("u/a/d/" in text and "was replaced while" in text for text in result.warnings)


@pytest.mark.parametrize("other", [a_link, another_directory], ids=["a link", "a directory"])
@pytest.mark.parametrize("when", [b"/u/a", b"/u/a/d"])
def test_what_took_a_directorys_name_during_the_walk_is_not_walked_in_its_place(
    estate: Estate, other: Callable[[Estate], Path], when: bytes
) -> None:
    own = {os.lstat(path).st_ino for path in (estate.tree, *estate.tree.rglob("*"))}
    walker = Walker(normalise_sources([os.fsencode(estate.tree)]), Excludes([]), frozenset(), lambda *_: None)
    for batch in walker:
        if not batch.ancestors:
            assert {status.st_ino for _path, status in batch.found} <= own
            assert not any(path.endswith(b"only there") for path, _status in batch.found)
        if batch.found[-1][0].endswith(when):
            exchange(estate.mine, other(estate))


def test_a_directory_that_changes_places_with_a_link_all_the_time_lets_nothing_in(
    tmp_path: Path, estate: Estate
) -> None:
    leaks = 0
    host = Host(tmp_path, MemoryStorage())
    with exchanging(estate.mine, estate.link):
        for _loop in range(LOOPS):
            host.back_up("full")
            leaks += estate.is_in(host.saved().values())
    print(f"{leaks} of {LOOPS} backups hold files of others")
    assert leaks == 0


# -- kinds ---------------------------------------------------------------------------------------


def as_file(path: Path) -> None:
    path.write_text("a file")


def as_link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def as_fifo(path: Path) -> None:
    os.mkfifo(path)


def as_directory(path: Path) -> None:
    (path / "inner").mkdir(parents=True)
    os.setxattr(path, "user.name", b"value")
    (path / "inner" / "file").write_text("in a directory")
    (path / "link").symlink_to("inner")


KINDS = [as_file, as_link, as_fifo, as_directory]
PAIRS = [(before, now) for before in KINDS for now in KINDS if before is not now]


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        for inner in path.iterdir():
            remove(inner)
        path.rmdir()
    else:
        path.unlink()


def become(path: Path, make: Callable[[Path], None]) -> None:
    """Put something else under a name that is there all the time."""
    new = path.parent.parent / "new"
    make(new)
    exchange(new, path)
    remove(new)


@pytest.mark.parametrize(
    ("before", "now"),
    [pair for pair in PAIRS if pair[0] is not as_directory],
    ids=lambda make: make.__name__,
)
def test_what_became_another_kind_after_it_was_found_is_saved_as_what_it_is_then(
    tmp_path: Path, before: Callable[[Path], None], now: Callable[[Path], None]
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "0").write_bytes(random.Random(0).randbytes(3 << 20))
    with (tree / "1").open("wb") as large:
        large.truncate(_MANY_BYTES)
    before(tree / "x")
    (tree / "x-y").write_text("sorts behind what is in x")
    host = Host(tmp_path, Meanwhile(lambda: become(tree / "x", now)))
    result = host.back_up("full")
    assert result.warnings == ()
    saved, there = host.saved(), tree_on_disk(tree)
    assert {path: saved[path] for path in saved if path} == {path: there[path] for path in there if path}
    host.back_up("inc")
    assert host.saved() == there


class Swapping(Excludes):
    """Calls back while a path is matched: between the walk's look at a directory and its opening."""

    def __init__(self, path: bytes, act: Callable[[], object]) -> None:
        super().__init__([b"no such name"])
        self._path = path
        self._acts: Iterator[Callable[[], object]] = iter([act])

    def match(self, path: bytes, *, directory: bool) -> bool:
        if path.endswith(self._path):
            next(self._acts, lambda: None)()
        return super().match(path, directory=directory)


@pytest.mark.parametrize("now", KINDS, ids=lambda make: make.__name__)
def test_a_directory_that_became_something_else_before_it_was_opened_is_found_as_that(
    tmp_path: Path, now: Callable[[Path], None]
) -> None:
    tree = tmp_path / "tree"
    (tree / "x" / "of before").mkdir(parents=True)
    swap = Swapping(b"/x", lambda: become(tree / "x", now))
    walker = Walker(normalise_sources([os.fsencode(tree)]), swap, frozenset(), pytest.fail)
    found = dict(found for batch in walker if not batch.ancestors for found in batch.found)
    top = os.fsencode(tree).lstrip(b"/")
    there = {top + b"/" + path if path else top: thing for path, thing in tree_on_disk(tree).items()}
    assert set(found) == set(there)
    assert stat.S_IFMT(found[top + b"/x"].st_mode) == stat.S_IFMT(os.lstat(tree / "x").st_mode)


def test_a_file_that_changes_places_with_a_link_all_the_time_is_in_every_backup(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "d").mkdir(parents=True)
    (tree / "d" / "a").write_text("a file")
    (tree / "d" / "z").symlink_to("/etc/passwd")
    for number in range(100):  # the walk looks at all of them before the first is read
        (tree / "d" / f"n{number}").write_text(f"{number}")
    host = Host(tmp_path, MemoryStorage())
    missing = 0
    with exchanging(tree / "d" / "a", tree / "d" / "z"):
        for _loop in range(LOOPS):
            host.back_up("full")
            missing += 2 - len({b"d/a", b"d/z"} & set(host.saved()))
    print(f"{missing} of {2 * LOOPS} names are missing")
    assert missing == 0
