# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures one command."""

from __future__ import annotations

import json
import mmap
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

COMMAND_SECONDS = 1800.0
_HERE = Path(__file__).parents[1]


class StepFailedError(Exception):
    """A tool did not do what it was asked; the message is the end of what it said."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One step: wall and CPU time in seconds, peak memory in bytes, bytes over the loopback interface."""

    wall: float
    cpu: float
    peak: int
    transferred: int = 0


def measure(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Figures:
    """Run a command to its end.  Raises :class:`StepFailedError` when it fails."""
    settle()
    with tempfile.NamedTemporaryFile(prefix="bench-figures-") as result:
        runner = (sys.executable, "-S", "-m", "bench.runner", result.name)
        before = loopback_bytes()
        process = subprocess.Popen(
            [*runner, *command],
            env={**os.environ, **(environment or {}), "PYTHONPATH": str(_HERE)},
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        said = _wait(process)
        moved = loopback_bytes() - before
        if process.returncode:
            name, last = Path(command[0]).name, said[-1500:].decode(errors="replace")
            raise StepFailedError(f"{name} ended with status {process.returncode}: {last}")
        found = json.loads(Path(result.name).read_text())
    return Figures(found["wall"], found["cpu"], found["peak"], moved)


def _wait(process: subprocess.Popen[bytes]) -> bytes:
    """Return what the command said.  Whatever interrupts this ends the command and its children."""
    with process:
        try:
            return process.communicate(timeout=COMMAND_SECONDS)[0]
        except subprocess.TimeoutExpired as error:
            raise StepFailedError(f"not done after {COMMAND_SECONDS:.0f} s") from error
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def settle() -> None:
    """Write out what the step before left in memory, so that this one does not wait for it."""
    os.sync()
    time.sleep(0.1)


def have_memory(size: int) -> None:
    """Touch so many bytes of memory, but no more than half of what is free, and let go of them.

    A virtual machine gets what it did not use lately from its host page by page, which takes seconds of CPU a
    gigabyte: whoever came first would pay for all.
    """
    length = min(size, os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
    if length > 0:
        with suppress(OSError):
            mmap.mmap(-1, length, flags=flags).close()


def loopback_bytes() -> int:
    """Return how many bytes the loopback interface has carried: those of whoever uses it."""
    with suppress(OSError):
        for line in Path("/proc/net/dev").read_text().splitlines():
            words = line.split()
            if words[0] == "lo:":
                return int(words[1])
    return 0
