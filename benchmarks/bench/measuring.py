# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures one command."""

from __future__ import annotations

import json
import os
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
        done = subprocess.run(
            [*runner, *command],
            env={**os.environ, **(environment or {}), "PYTHONPATH": str(_HERE)},
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        moved = loopback_bytes() - before
        if done.returncode:
            said = (done.stderr or done.stdout)[-1500:].decode(errors="replace")
            raise StepFailedError(f"{Path(command[0]).name} ended with status {done.returncode}: {said}")
        found = json.loads(Path(result.name).read_text())
    return Figures(found["wall"], found["cpu"], found["peak"], moved)


def settle() -> None:
    """Write out what the step before left in memory, so that this one does not wait for it."""
    os.sync()
    time.sleep(0.1)


def loopback_bytes() -> int:
    """Return how many bytes the loopback interface has carried: those of whoever uses it."""
    with suppress(OSError):
        for line in Path("/proc/net/dev").read_text().splitlines():
            words = line.split()
            if words[0] == "lo:":
                return int(words[1])
    return 0
