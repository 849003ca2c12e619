# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose links are followed, whose directories are taken, and what becomes of names swapped meanwhile."""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path, PosixPath

import pytest

from papi_backup.host_paths import (
    HeldDirectory,
    NothingThereError,
    UnsafePathError,
    held,
    hold,
    make_guarded,
    open_below,
    require_guarded,
)

ALICE, BOB = 54321, 54322
STAFF = 54323
"""A group of some users."""
UMASKS = [0o000, 0o022, 0o077, 0o777]
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100

pytestmark = pytest.mark.root


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A directory of root's, with one of alice's and one where everybody may make something."""
    home, public = tmp_path / "home", tmp_path / "public"
    for directory in (home, public, home / "inner", tmp_path / "goal", tmp_path / "goal" / "deep"):
        directory.mkdir()
    for directory in (home, home / "inner"):
        os.chown(directory, ALICE, ALICE)
    public.chmod(0o1777)
    return tmp_path


def give(path: Path, owner: int) -> None:
    os.chown(path, owner, owner, follow_symlinks=False)


def owned_link(path: Path, goal: Path | str, owner: int) -> None:
    path.symlink_to(goal)
    give(path, owner)


def owned_directory(path: Path, owner: int) -> None:
    path.mkdir()
    give(path, owner)


def shared_directory(path: Path, mode: int, *, owner: int = 0, group: int = STAFF) -> None:
    path.mkdir()
    os.chown(path, owner, group)
    path.chmod(mode)


def where(path: Path) -> Path:
    with held(os.fsencode(path)) as directory:
        assert os.path.samestat(os.fstat(directory.descriptor), os.stat(os.fsdecode(directory.path)))
        return Path(os.fsdecode(directory.path))


Arrange = Callable[[Path], Path]
"""Arranges the directories and returns the path to follow."""


def roots_link(base: Path) -> Path:
    owned_link(base / "link", base / "goal", 0)
    return base / "link" / "deep"


def roots_relative_link_with_dots(base: Path) -> Path:
    owned_link(base / "goal" / "up", "../goal/./deep/..", 0)
    return base / "goal" / "up" / "deep"


def directory_of_its_owner(base: Path) -> Path:
    return base / "home" / "inner"


def dots_out_of_a_foreign_directory(base: Path) -> Path:
    owned_link(base / "link", base / "goal", 0)
    return base / "home" / "inner" / ".." / ".." / "link" / "deep"


def roots_directory_in_public(base: Path) -> Path:
    owned_directory(base / "public" / "mine", 0)
    return base / "public" / "mine"


def roots_directory_where_a_group_may_write(base: Path) -> Path:
    shared_directory(base / "staff", 0o2775)
    owned_directory(base / "staff" / "mine", 0)
    return base / "staff" / "mine"


def alices_directory_in_hers_that_she_shares_with_a_group(base: Path) -> Path:
    shared_directory(base / "home" / "shared", 0o2770, owner=ALICE)
    owned_directory(base / "home" / "shared" / "restore", ALICE)
    return base / "home" / "shared" / "restore"


FOLLOWED: list[tuple[Arrange, str]] = [
    (roots_link, "goal/deep"),
    (roots_relative_link_with_dots, "goal/deep"),
    (directory_of_its_owner, "home/inner"),
    (dots_out_of_a_foreign_directory, "goal/deep"),
    (roots_directory_in_public, "public/mine"),
    (roots_directory_where_a_group_may_write, "staff/mine"),
    (alices_directory_in_hers_that_she_shares_with_a_group, "home/shared/restore"),
]


@pytest.mark.parametrize(
    ("arrange", "led_to"), FOLLOWED, ids=[arrange.__name__ for arrange, _led_to in FOLLOWED]
)
def test_what_only_root_or_the_owner_decides_is_followed(base: Path, arrange: Arrange, led_to: str) -> None:
    assert where(arrange(base)) == base / led_to


def alices_link(base: Path) -> Path:
    owned_link(base / "home" / "link", base / "goal", ALICE)
    return base / "home" / "link"


def alices_link_on_the_way(base: Path) -> Path:
    return alices_link(base) / "deep"


def roots_link_in_alices_directory(base: Path) -> Path:
    owned_link(base / "home" / "link", base / "goal", 0)
    return base / "home" / "link"


def roots_link_below_alices_directory(base: Path) -> Path:
    owned_directory(base / "home" / "roots", 0)
    owned_link(base / "home" / "roots" / "link", base / "goal", 0)
    return base / "home" / "roots" / "link"


def alices_link_in_roots_directory(base: Path) -> Path:
    owned_link(base / "link", base / "goal", ALICE)
    return base / "link"


def alices_link_behind_roots(base: Path) -> Path:
    owned_link(base / "link", alices_link(base), 0)
    return base / "link" / "deep"


def alices_link_in_public(base: Path) -> Path:
    owned_link(base / "public" / "link", base / "goal", ALICE)
    return base / "public" / "link" / "new"


def alices_directory_in_public(base: Path) -> Path:
    owned_directory(base / "public" / "restore", ALICE)
    return base / "public" / "restore"


def below_alices_directory_in_public(base: Path) -> Path:
    return alices_directory_in_public(base) / "new"


def alices_directory_where_a_group_may_write(base: Path) -> Path:
    shared_directory(base / "staff", 0o2775)
    owned_directory(base / "staff" / "restore", ALICE)
    return base / "staff" / "restore"


REFUSED: list[tuple[Arrange, str]] = [
    (alices_link, r"home/link is a symbolic link of uid 54321, .* name the directory itself"),
    (alices_link_on_the_way, r"home/link is a symbolic link of uid 54321"),
    (roots_link_in_alices_directory, r"home/link is a symbolic link in .*/home, which belongs to uid 54321"),
    (roots_link_below_alices_directory, r"roots/link is a symbolic link in .*/home, which belongs to uid"),
    (alices_link_in_roots_directory, r"link is a symbolic link of uid 54321"),
    (alices_link_behind_roots, r"home/link is a symbolic link of uid 54321"),
    (alices_link_in_public, r"public/link is a symbolic link of uid 54321"),
    (alices_directory_in_public, r"public/restore belongs to uid 54321 and lies in .*/public, where"),
    (below_alices_directory_in_public, r"public/restore belongs to uid 54321"),
    (
        alices_directory_where_a_group_may_write,
        r"staff/restore belongs to uid 54321 and lies in .*/staff, where others than root may make",
    ),
]


@pytest.mark.parametrize(("arrange", "told"), REFUSED, ids=[arrange.__name__ for arrange, _told in REFUSED])
def test_what_somebody_else_decides_is_refused_by_name_and_owner(
    base: Path, arrange: Arrange, told: str
) -> None:
    path = arrange(base)
    with pytest.raises(UnsafePathError, match=told):
        hold(os.fsencode(path))


def test_links_in_circles_end(base: Path) -> None:
    owned_link(base / "one", "two", 0)
    owned_link(base / "two", "one", 0)
    with pytest.raises(UnsafePathError, match="leads round in circles"):
        hold(os.fsencode(base / "one"))


def test_a_missing_directory_above_and_a_file_on_the_way_are_told_apart(base: Path) -> None:
    (base / "file").touch()
    with pytest.raises(NothingThereError, match="nowhere"):
        hold(os.fsencode(base / "nowhere" / "new"))
    with pytest.raises(NotADirectoryError):
        hold(os.fsencode(base / "file" / "new"))


def test_no_refusal_leaves_a_descriptor_open(base: Path) -> None:
    paths = [arrange(base / f"{number}") for number, arrange in enumerate(fresh_bases(base))]
    before = len(os.listdir("/proc/self/fd"))
    for path in paths:
        with pytest.raises(UnsafePathError):
            hold(os.fsencode(path))
    assert len(os.listdir("/proc/self/fd")) == before


def fresh_bases(base: Path) -> Iterator[Arrange]:
    """Give each refused arrangement directories of its own."""
    for number, (arrange, _told) in enumerate(REFUSED):
        own = base / f"{number}"
        for name in ("", "home", "public", "goal"):
            (own / name).mkdir()
        give(own / "home", ALICE)
        (own / "public").chmod(0o1777)
        yield arrange


@pytest.mark.parametrize("umask", UMASKS, ids=oct)
@pytest.mark.parametrize("above", ["home", "public", "goal"])
def test_a_directory_that_is_made_is_the_makers_alone_whatever_the_umask(
    base: Path, above: str, umask: int
) -> None:
    before = os.umask(umask)
    try:
        with held(os.fsencode(base / above / "new")) as directory:
            assert directory.make()
            assert not directory.make()
    finally:
        os.umask(before)
    status = (base / above / "new").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o700, os.geteuid())


Swap = Callable[[Path, Path], None]
"""Puts something in the place of the first path; the second is what root must not touch."""

SWAPS: dict[str, Swap] = {
    "link": lambda path, victim: owned_link(path, victim, ALICE),
    "roots_link": lambda path, victim: owned_link(path, victim, 0),
    "file": lambda path, _victim: path.touch(),
}


@pytest.mark.parametrize("swap", SWAPS.values(), ids=SWAPS)
def test_what_comes_to_be_where_a_directory_was_to_be_made_is_not_followed(base: Path, swap: Swap) -> None:
    victim = base / "goal"
    victim.chmod(0o755)
    with held(os.fsencode(base / "home" / "new")) as directory:
        swap(base / "home" / "new", victim)
        with pytest.raises(NotADirectoryError):
            directory.make()
    assert stat.S_IMODE(victim.stat().st_mode) == 0o755


def test_somebodys_directory_where_one_was_to_be_made_in_public_is_refused(base: Path) -> None:
    with held(os.fsencode(base / "public" / "new")) as directory:
        owned_directory(base / "public" / "new", ALICE)
        with pytest.raises(UnsafePathError, match="public/new belongs to uid 54321"):
            directory.make()


def exchange(one: Path, other: Path) -> None:
    """Give each of two names what the other leads to, at one moment."""
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = (_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    if libc.renameat2(*arguments):
        raise OSError(ctypes.get_errno(), "renameat2")


@pytest.mark.parametrize("what", ["link", "directory"])
def test_what_is_held_stays_the_same_when_its_name_is_given_away(base: Path, what: str) -> None:
    path, other = base / "home" / "inner", base / "home" / "other"
    if what == "link":
        owned_link(other, base / "goal", ALICE)
    else:
        owned_directory(other, BOB)
    with held(os.fsencode(path)) as directory:
        inner = path.stat()
        exchange(path, other)
        assert os.path.samestat(os.fstat(directory.descriptor), inner)


def test_a_directory_made_while_its_owner_swaps_names_is_never_one_of_others(base: Path) -> None:
    """The bounded race: alice exchanges the new name and a directory of hers all the time."""
    home = base / "home"
    owned_directory(home / "hers", ALICE)
    (home / "hers").chmod(0o755)
    (home / "hers" / "file").touch()
    swapper = os.fork()
    if swapper == 0:
        while True:
            with contextlib.suppress(OSError):
                exchange(home / "new", home / "hers")
    try:
        for _round in range(300):
            taken = make_and_tell(hold(os.fsencode(home / "new")))
            assert taken in ("made", "hers", "refused")
            for name in ("new", "hers"):
                with contextlib.suppress(OSError):  # hers is not empty
                    (home / name).rmdir()
    finally:
        os.kill(swapper, 9)
        os.waitpid(swapper, 0)
    found = [(home / name).stat() for name in ("new", "hers") if (home / name).exists()]
    assert [stat.S_IMODE(status.st_mode) for status in found if status.st_uid == ALICE] == [0o755]


def make_and_tell(directory: HeldDirectory) -> str:
    """Make a directory; tell whether what is held is root's own 0700 or, not made by us, alice's."""
    try:
        made = directory.make()
        status = os.fstat(directory.descriptor)
    except (UnsafePathError, FileNotFoundError):
        return "refused"
    finally:
        directory.close()
    if status.st_uid == 0:
        return "made" if stat.S_IMODE(status.st_mode) == 0o700 else f"mode {status.st_mode:o}"
    return "somebody else's was told to be made" if made else "hers"


def test_what_is_below_a_descriptor_is_reached_without_links(base: Path) -> None:
    owned_link(base / "goal" / "link", base / "home", 0)
    root = os.open(base, os.O_PATH | os.O_DIRECTORY)
    try:
        os.close(open_below(root, b"goal/deep", os.O_RDONLY))
        with pytest.raises(NotADirectoryError):
            open_below(root, b"goal/link/inner", os.O_RDONLY)
    finally:
        os.close(root)


GUARDED = [
    "goal",
    "goal/deep/not/there/yet",
    "public/mine",
    "public/new",
    "of roots group/new",
    "sticky, of a group/new",
]


@pytest.mark.parametrize("path", GUARDED)
def test_a_place_whose_names_only_root_can_change_is_guarded(base: Path, path: str) -> None:
    owned_directory(base / "public" / "mine", 0)
    shared_directory(base / "of roots group", 0o775, group=0)
    shared_directory(base / "sticky, of a group", 0o3775)
    require_guarded(os.fsencode(base / path))


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("home/inner", "home belongs to uid 54321, who could put something else in"),
        ("home/new/state", "home belongs to uid 54321"),
        ("open/state", "others than root may rename what is in .*open: chmod go-w"),
        ("of a group/state", "others than root may rename what is in .*of a group: chmod go-w"),
        ("link/new", "link is a symbolic link of uid 54321"),
    ],
)
def test_a_place_that_others_can_exchange_is_not(base: Path, path: str, told: str) -> None:
    (base / "open").mkdir()
    (base / "open").chmod(0o777)
    shared_directory(base / "of a group", 0o2775)
    owned_link(base / "link", base / "goal", ALICE)
    with pytest.raises(UnsafePathError, match=told):
        require_guarded(os.fsencode(base / path))


@pytest.mark.parametrize("umask", UMASKS, ids=oct)
def test_modes_of_what_is_made_above_and_of_itself_do_not_depend_on_the_umask(base: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        make_guarded(base / "a" / "b" / "c", 0o700)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((base / path).stat().st_mode) for path in ("a", "a/b", "a/b/c")]
    assert modes == [0o755, 0o755, 0o700]


class Quicker(PosixPath):
    """A path at which alice makes a directory in the moment before root does."""

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        if self.name == "quick":
            owned_directory(Path(self), ALICE)
        super().mkdir(mode, parents, exist_ok)


@pytest.mark.parametrize("path", ["public/quick", "public/quick/state"])
def test_what_others_put_where_a_directory_was_to_be_made_is_refused(base: Path, path: str) -> None:
    with pytest.raises(UnsafePathError, match="public/quick belongs to uid 54321"):
        make_guarded(Quicker(base / path), 0o700)
    assert (base / "public" / "quick").stat().st_uid == ALICE
    assert list((base / "public" / "quick").iterdir()) == []
