# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one command and writes down what it used: ``python -m bench.runner RESULT COMMAND...``.

It is a process of its own so that nothing but the command counts among its children, and so that what the
command leaves behind (an ssh that outlives it by a moment) is inherited, waited for and counted too.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
import time

from bench.process_tree import PeakMemory, tree

_PR_SET_CHILD_SUBREAPER = 36
LINGERING_SECONDS = 10.0


def main(arguments: list[str]) -> int:
    """Run the command; return its exit status."""
    result, *command = arguments
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # ours, not its
    began = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, environment)
    with PeakMemory(lambda: tree(os.getpid())[1:]) as memory:
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        wall = time.perf_counter() - began
    _wait_for_the_rest()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    figures = {"wall": wall, "cpu": used.ru_utime + used.ru_stime, "peak": memory.peak}
    with open(result, "w") as file:
        json.dump(figures, file)
    return status if 0 <= status < 126 else 125


def _wait_for_the_rest() -> None:
    deadline = time.monotonic() + LINGERING_SECONDS
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.01)
        for pid in tree(os.getpid())[1:]:
            os.kill(pid, signal.SIGKILL)
        while True:
            os.waitpid(-1, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
