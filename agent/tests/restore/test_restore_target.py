# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A target in a directory of somebody who swaps its name while the restore is at work."""

from __future__ import annotations

import ctypes
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

import pytest
from interposed import InterposingOpener
from restoring import RestoringHost

from papi_backup.engine.restore import plan_restore, run_restore
from papi_backup.model.errors import InvalidParameterError

ALICE = 54321
FILES = 12
ROUNDS = 20
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100

pytestmark = pytest.mark.root


@dataclass(frozen=True)
class Home:
    """Alice's directory: a target in it, a link of hers beside, and what the link leads to, root's."""

    target: Path
    link: Path
    victim: Path

    def exchange(self) -> None:
        """Give the target's name to the link and the link's to the target, at one moment."""
        libc = ctypes.CDLL(None, use_errno=True)
        names = _AT_FDCWD, os.fsencode(self.target), _AT_FDCWD, os.fsencode(self.link)
        if libc.renameat2(*names, _RENAME_EXCHANGE):
            raise OSError(ctypes.get_errno(), "renameat2")

    @property
    def directory(self) -> Path:
        """The directory that was the target at first, under the name that it has now."""
        return self.link if self.target.is_symlink() else self.target


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home" / "restore", tmp_path / "home" / "link", tmp_path / "victim")
    home.target.mkdir(parents=True)
    home.victim.mkdir()
    home.link.symlink_to(home.victim)
    for path in (home.target.parent, home.target, home.link):
        os.chown(path, ALICE, ALICE, follow_symlinks=False)
    return home


@pytest.fixture
def host(tmp_path: Path) -> RestoringHost:
    """A host with some small files and a sparse one that makes a restore large enough for helpers."""
    host = RestoringHost.below(tmp_path, key="")
    for number in range(FILES):
        (host.tree / f"file-{number}").write_bytes(b"%d" % number)
    (host.tree / "twin").hardlink_to(host.tree / "file-0")
    with open(host.tree / "sparse", "wb") as sparse:
        sparse.truncate(40 << 20)
    host.back_up()
    return host


class SwapAt:
    """Exchanges the names once, ahead of the first read of a name that matches."""

    def __init__(self, home: Home, pattern: str) -> None:
        self._home = home
        self._pattern = re.compile(pattern)

    def __call__(self, name: str, reads: int) -> None:
        del reads
        if self._pattern.search(name) and not self._home.target.is_symlink():
            self._home.exchange()


MOMENTS = {"the manifest is read": "catalog/", "the list is read": "/i/", "content is read": "/d/"}


@pytest.mark.parametrize("helpers", [1, 2])
@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_a_target_swapped_for_a_link_is_restored_into_as_it_was_resolved(
    host: RestoringHost, home: Home, helpers: int, moment: str
) -> None:
    host.helpers = helpers
    opener = InterposingOpener(host.base / "store", SwapAt(home, moment))
    run_restore(host.order(home.target), opener, host.reports.append)
    assert home.target.is_symlink()
    assert list(home.victim.iterdir()) == []
    assert host.seen(home.directory) == host.seen()


@pytest.mark.parametrize("helpers", [1, 2])
def test_a_target_that_is_made_is_held_like_one_that_was_there(
    host: RestoringHost, home: Home, helpers: int
) -> None:
    home.target.rmdir()
    host.helpers = helpers
    opener = InterposingOpener(host.base / "store", SwapAt(home, "/d/"))
    run_restore(host.order(home.target), opener, host.reports.append)
    assert home.target.is_symlink()
    assert list(home.victim.iterdir()) == []
    assert host.seen(home.directory) == host.seen()
    assert home.directory.stat().st_uid == os.geteuid()


def test_a_link_that_comes_to_be_where_the_target_was_to_be_made_is_refused(
    host: RestoringHost, home: Home
) -> None:
    home.target.rmdir()

    def put_the_link(name: str, reads: int) -> None:
        del name, reads
        if home.link.is_symlink():
            home.link.rename(home.target)

    opener = InterposingOpener(host.base / "store", put_the_link)
    with pytest.raises(InvalidParameterError, match=r"target_dir .*restore cannot be written to"):
        run_restore(host.order(home.target), opener, host.reports.append)
    assert list(home.victim.iterdir()) == []


def test_swapping_all_the_time_never_leads_a_restore_astray(host: RestoringHost, home: Home) -> None:
    """The bounded race: the names are exchanged all the time while one restore follows the other."""
    swapper = os.fork()
    if swapper == 0:
        while True:
            home.exchange()
    restored = refused = 0
    try:
        for _round in range(ROUNDS):
            try:
                host.restore(host.order(home.target, overwrite="always"))
                restored += 1
            except InvalidParameterError as error:
                assert f"link of uid {ALICE}" in error.message
                refused += 1
            assert list(home.victim.iterdir()) == []
    finally:
        os.kill(swapper, 9)
        os.waitpid(swapper, 0)
    assert (restored + refused, list(home.victim.iterdir())) == (ROUNDS, [])


def test_a_plan_looks_into_the_directory_that_was_resolved(host: RestoringHost, home: Home) -> None:
    victim = home.victim / host.tree.relative_to("/")
    victim.mkdir(parents=True)
    (victim / "file-0").write_bytes(b"root's")
    opener = InterposingOpener(host.base / "store", SwapAt(home, "catalog/"))
    plan = plan_restore(host.order(home.target, overwrite="always"), opener)
    assert home.target.is_symlink()
    assert (plan.overwrites, plan.overwritten) == (0, ())


def test_overwrite_fail_looks_into_the_directory_that_was_resolved(host: RestoringHost, home: Home) -> None:
    taken = home.target / host.tree.relative_to("/")
    taken.mkdir(parents=True)
    (taken / "file-0").write_bytes(b"alice's")
    opener = InterposingOpener(host.base / "store", SwapAt(home, "catalog/"))
    with pytest.raises(InvalidParameterError, match="overwrite=fail"):
        run_restore(host.order(home.target, overwrite="fail"), opener, host.reports.append)
    assert list(home.victim.iterdir()) == []


@pytest.mark.parametrize("act", ["restore", "plan"])
def test_somebody_elses_link_is_refused_in_words_before_the_storage_is_asked(
    host: RestoringHost, home: Home, act: str
) -> None:
    order = host.order(home.link / "below")
    with pytest.raises(InvalidParameterError) as refusal:
        host.restore(order) if act == "restore" else host.plan(order)
    assert f"{home.link} is a symbolic link of uid {ALICE}" in refusal.value.message
    assert "name the directory itself. Nothing was written." in refusal.value.message
    assert (refusal.value.parameter, list(home.victim.iterdir())) == ("target_dir", [])


def test_a_directory_of_the_agent_that_takes_an_entrys_place_is_neither_entered_nor_changed(
    host: RestoringHost, home: Home
) -> None:
    """Somebody who may rename both puts it where no protected name is."""
    own = host.base / "state"
    (own / "precious").write_bytes(b"precious")
    own.chmod(0o711)
    place = home.target / host.tree.relative_to("/")
    place.parent.mkdir(parents=True)

    def move(name: str, reads: int) -> None:
        del name, reads
        if own.exists():
            own.rename(place)

    opener = InterposingOpener(host.base / "store", move)
    result = run_restore(host.order(home.target), opener, host.reports.append)
    assert "belongs to the agent itself and is not restored" in result.description
    assert [path.name for path in place.iterdir()] == ["precious"]
    assert stat.S_IMODE(place.stat().st_mode) == 0o711
