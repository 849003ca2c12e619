# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds processes that a run has started and left behind, by a variable that they all inherit."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

GRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Survivor:
    """A process that outlived its test."""

    pid: int
    command: str


def end_survivors(marker: str, grace: float = GRACE_SECONDS) -> list[Survivor]:
    """Return the processes with ``marker`` that are still there after ``grace`` seconds, and end them."""
    deadline = time.monotonic() + grace
    while (found := _find_surely(marker)) and time.monotonic() < deadline:
        time.sleep(0.2)
    for survivor in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(survivor.pid, signal.SIGKILL)
    return found


def _find_surely(marker: str) -> list[Survivor]:
    """Look twice before nothing is believed: a process in the middle of execve shows no environment."""
    found = find_survivors(marker)
    if not found:
        time.sleep(0.1)
        found = find_survivors(marker)
    return found


def find_survivors(marker: str) -> list[Survivor]:
    """Return all processes, but this one, that have ``marker`` (NAME=VALUE) in their environment."""
    wanted = os.fsencode(marker)
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):  # gone meanwhile, or another user's
            if wanted in (process / "environ").read_bytes().split(b"\0"):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append(
                    Survivor(int(process.name), command.strip() or "a process without a command line")
                )
    return found
