# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tree of processes uses, read from /proc: proportional memory and CPU time."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Self

SAMPLE_SECONDS = 0.05
LARGEST_SHARE = 0.05
"""Sampling may take this part of the time of one core; where a sample is dear, there are fewer."""

_TICKS = os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """Return the direct children of a process; one that is gone has none."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/children", "rb") as file:
                found.extend(map(int, file.read().split()))
    return found


def tree(pid: int) -> list[int]:
    """Return the process and all below it."""
    found = [pid]
    for parent in found:
        found.extend(children(parent))
    return found


def proportional_size(pid: int) -> int:
    """Return the proportional set size in bytes: what is shared counts by its share; 0 if it is gone."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup", "rb") as file:
        for line in file:
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) << 10
    return 0


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return user and system time of the processes and of the children that they have waited for."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
            ticks += sum(map(int, file.read().rpartition(b")")[2].split()[11:15]))
    return ticks / _TICKS


class PeakMemory:
    """Samples the sum of the proportional set sizes of some processes; a context manager."""

    def __init__(self, pids: Callable[[], Iterable[int]]) -> None:
        self.peak = 0
        """Largest sum seen, in bytes."""
        self.samples = 0
        self._pids = pids
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="peak-memory", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *unused_details: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        pause = 0.0
        while not self._over.wait(pause):
            began = time.thread_time()
            self.peak = max(self.peak, sum(map(proportional_size, self._pids())))
            self.samples += 1
            pause = max(SAMPLE_SECONDS, (time.thread_time() - began) / LARGEST_SHARE)
