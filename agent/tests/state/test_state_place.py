# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the state and the socket may lie: nobody but root or the agent's user can exchange them."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from pathlib import Path, PosixPath

import pytest

from papi_backup.api.listeners import bind_unix
from papi_backup.model.errors import InternalError
from papi_backup.state.database import StateError
from papi_backup.state.files import locked, prepare_directory

ALICE = 54321
Use = Callable[[Path], None]


def listen_in(directory: Path) -> None:
    bind_unix(directory / "agent.sock", None).close()


USES: dict[str, tuple[Use, type[Exception]]] = {
    "state": (prepare_directory, StateError),
    "socket": (listen_in, InternalError),
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Alice's directory, with one of root's in it that she can rename."""
    home = tmp_path / "home"
    (home / "place").mkdir(parents=True)
    os.chown(home, ALICE, ALICE)
    (home / "place").chmod(0o700)
    return home


@pytest.mark.root
@pytest.mark.parametrize(("use", "error"), USES.values(), ids=USES)
@pytest.mark.parametrize("where", ["home/place", "home/new", "link", "hers"])
def test_a_place_that_somebody_else_could_exchange_is_refused_and_nothing_is_made(
    tmp_path: Path, home: Path, use: Use, error: type[Exception], where: str
) -> None:
    (tmp_path / "hers").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "goal")
    (tmp_path / "goal").mkdir()
    for path in ("hers", "link"):
        os.chown(tmp_path / path, ALICE, ALICE, follow_symlinks=False)
    with pytest.raises(error, match=rf"uid {ALICE}"):
        use(tmp_path / where)
    made = [*(home / "place").iterdir(), *(tmp_path / "hers").iterdir(), *(tmp_path / "goal").iterdir()]
    assert (made, (home / "new").exists()) == ([], False)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], ids=oct)
def test_modes_do_not_depend_on_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        prepare_directory(tmp_path / "above" / "state")
        with locked(tmp_path / "above" / "state", "some.lock"):
            pass
        listen_in(tmp_path / "run" / "agent")
    finally:
        os.umask(before)
    modes = {
        "above": 0o755,
        "above/state": 0o700,
        "above/state/some.lock": 0o600 & ~umask,
        "run": 0o755,
        "run/agent": 0o755,
        "run/agent/agent.sock": 0o660,
    }
    assert {path: stat.S_IMODE((tmp_path / path).stat().st_mode) for path in modes} == modes


def test_a_lock_is_not_taken_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    (tmp_path / "some.lock").symlink_to(tmp_path / "other")
    with pytest.raises(StateError, match=r"some\.lock"), locked(tmp_path, "some.lock"):
        pass


class SwappedPath(PosixPath):
    """A path whose last name becomes a link to the file ``victim`` right before its mode is set."""

    victim = Path()

    def chmod(self, mode: int, *, follow_symlinks: bool = True) -> None:
        """Put the link there first."""
        self.unlink()
        self.symlink_to(self.victim)
        super().chmod(mode, follow_symlinks=follow_symlinks)


@pytest.mark.root
def test_a_link_put_where_the_socket_was_bound_changes_no_other_files_mode(home: Path) -> None:
    victim = home.parent / "victim"
    victim.touch(mode=0o600)
    sock = SwappedPath(home / "agent.sock")
    sock.victim = victim
    with pytest.raises(InternalError):
        bind_unix(sock, None)
    assert stat.S_IMODE(victim.stat().st_mode) == 0o600


@pytest.mark.root
def test_no_file_gets_the_sockets_mode_while_the_directorys_owner_swaps_names(home: Path) -> None:
    """The bounded race: alice puts a link where the socket was just bound, all the time."""
    victim, sock, link = home.parent / "victim", home / "agent.sock", home / "link"
    victim.touch()
    victim.chmod(0o600)
    swapper = os.fork()
    if swapper == 0:
        while True:
            with contextlib.suppress(OSError):
                link.symlink_to(victim)
            with contextlib.suppress(OSError):
                if stat.S_ISSOCK(sock.lstat().st_mode):
                    link.rename(sock)
                else:
                    sock.unlink()
    try:
        for _round in range(200):
            with pytest.raises(InternalError):
                listen_in(home)
            assert stat.S_IMODE(victim.stat().st_mode) == 0o600
    finally:
        os.kill(swapper, 9)
        os.waitpid(swapper, 0)


@pytest.mark.root
def test_a_socket_below_a_directory_for_everybody_is_replaced_by_root_alone(tmp_path: Path) -> None:
    """As in /tmp: what is root's there cannot be renamed by others; without the sticky bit it could be."""
    (tmp_path / "public").mkdir()
    (tmp_path / "public").chmod(0o1777)
    listen_in(tmp_path / "public")
    (tmp_path / "public").chmod(0o777)
    with pytest.raises(InternalError, match="others than root may rename"):
        listen_in(tmp_path / "public")
