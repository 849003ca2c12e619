# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""No process of the agent leaves its memory to others, nor files to the umask it was started with."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

MAINS = {
    "daemon": "from papi_backup.daemon import main; main(['--config', '/nowhere/agent.toml'])",
    "worker": "from papi_backup.jobs.worker import main; main(['--messages', '2', '--parent', '0'])",
    "query process": "from papi_backup.jobs.query_worker import main; main(['--messages', '2'])",
    "restore session": "from papi_backup.jobs.restore_session import main; main()",
}
"""Each leaves at once: there is nothing for it to do."""

COMMAND = "from papi_backup.cli import main; main(['version'])"

TELL = """
import ctypes, os, sys
os.umask(0)
{main}
helper = os.fork()
if helper == 0 or not os.waitpid(helper, 0)[1]:
    print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), oct(os.umask(0)), file=sys.stderr)
    sys.stderr.flush()
    os._exit(0)
"""
"""Runs a main, then tells for a helper forked after it and for itself: dumpable or not, and the umask."""


def told(main: str) -> list[str]:
    agent, process = socket.socketpair()
    agent.close()
    with process:
        done = subprocess.run(
            [sys.executable, "-P", "-c", TELL.format(main=main)],
            stdin=process,
            capture_output=True,
            text=True,
            check=True,
        )
    return done.stderr.splitlines()[-2:]


@pytest.mark.parametrize("main", MAINS.values(), ids=MAINS)
def test_a_process_and_its_helpers_are_not_dumpable_and_make_files_for_nobody_else(main: str) -> None:
    assert told(main) == ["0 0o77"] * 2


def test_the_command_is_not_dumpable_and_leaves_the_callers_umask() -> None:
    assert told(COMMAND) == ["0 0o0"] * 2


def test_a_process_that_asks_for_nothing_is_dumpable() -> None:
    assert told("pass") == ["1 0o0"] * 2


def test_an_undumpable_process_that_is_not_root_still_reaches_what_it_has_open() -> None:
    """Files below /proc/self then belong to root; what follows a descriptor must go on working."""
    program = (
        "import os; from papi_backup.confinement import keep_to_itself;"
        " d = os.memfd_create('x'); os.getuid() or os.setuid(54321); keep_to_itself();"
        " os.close(os.open(f'/proc/self/fd/{d}', os.O_RDONLY)); os.stat(f'/proc/self/fd/{d}');"
        " os.listdir('/proc/self/fd');"
        " open('/proc/self/mountinfo').close(); open('/proc/self/cgroup').close()"
    )
    subprocess.run([sys.executable, "-P", "-c", program], check=True)
