# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other users of the host at the unix socket, as real processes of theirs."""

from __future__ import annotations

import grp
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_api import RunningApi, running_api

pytestmark = pytest.mark.root

STRANGER, OWN_GROUP = 54_321, 54_321
GROUP = next(group for group in grp.getgrall() if group.gr_gid not in (0, OWN_GROUP))
ASK = """
import os, socket, sys
# Only now, because another user may not be let to the interpreter.
groups = [int(group) for group in sys.argv[4].split(",")]
os.setgroups(groups[1:]), os.setgid(groups[0]), os.setuid(int(sys.argv[5]))
with socket.socket(socket.AF_UNIX) as client:
    client.settimeout(20)
    try:
        client.connect(sys.argv[1])
    except PermissionError:
        sys.exit("refused by the kernel")
    head = f"POST /papi/backup/{sys.argv[2]} HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n"
    client.sendall(f"{head}Content-Length: {len(sys.argv[3])}\\r\\n\\r\\n{sys.argv[3]}".encode())
    print(client.makefile().read())
"""


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that other users may enter, which pytest's are not."""
    with tempfile.TemporaryDirectory(prefix="papi-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def api(open_directory: Path) -> Iterator[RunningApi]:
    with running_api(open_directory, socket_group=GROUP.gr_name) as running:
        yield running


def ask(api: RunningApi, groups: list[int], path: str = "storage/list", form: str = "") -> str:
    """Ask as a user whose groups these are, the first one the primary."""
    done = subprocess.run(
        [sys.executable, "-c", ASK, api.socket_path, path, form, ",".join(map(str, groups)), str(STRANGER)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "groups", [[GROUP.gr_gid], [OWN_GROUP, GROUP.gr_gid]], ids=["primary", "supplementary"]
)
def test_a_member_of_the_configured_group_is_an_administrator(api: RunningApi, groups: list[int]) -> None:
    assert "s3-secret" in ask(api, groups)
    assert '"data": "success"' in ask(api, groups, "storage/del", "storage_id=3")


def test_any_other_user_cannot_even_connect(api: RunningApi) -> None:
    assert ask(api, [OWN_GROUP]) == "refused by the kernel\n"


def test_a_user_who_gets_through_to_the_socket_is_told_who_is_admitted(api: RunningApi) -> None:
    api.socket_path.chmod(0o666)
    answer = ask(api, [OWN_GROUP])
    assert '"error_code": 3004' in answer
    assert f"Authentication Error: uid {STRANGER} is neither root" in answer
    assert f"nor in the group {GROUP.gr_name!r}" in answer and "log in" in answer
    before = api.world.contents()
    assert '"error_code": 3004' in ask(api, [OWN_GROUP], "storage/del", "storage_id=3")
    assert api.world.contents() == before


def test_such_a_user_comes_in_with_an_account_and_its_role(api: RunningApi) -> None:
    api.socket_path.chmod(0o666)
    form = "username=viewer&password=secret"
    assert '"success": 1' in ask(api, [OWN_GROUP], "storage/list", form)
    assert '"error_code": 3001' in ask(api, [OWN_GROUP], "storage/del", f"{form}&storage_id=3")


def test_without_a_configured_group_only_root_is_admitted(open_directory: Path) -> None:
    with running_api(open_directory) as api:
        api.socket_path.chmod(0o666)
        answer = ask(api, [0])
        assert f"uid {STRANGER} is not root" in answer
        assert os.geteuid() == 0
        assert api.get("storage/list").data
