# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an agent at rest takes, after each job: whatever grows without bound shows in the end."""

from __future__ import annotations

import os
import statistics
from dataclasses import astuple, dataclass
from pathlib import Path

from bench.process_tree import children

WARMING = 10
"""So many jobs come before the agent has started, and read in, all that it needs."""

_MOST_GROWTH = (24 << 10, 8, 8, 2)
"""Of the medians of the last fifth over the first: KiB of memory, descriptors, threads, processes.

A leak of one descriptor in ten jobs, or of 100 KiB a job, is above this in 300 jobs.  Below are what an
allocator keeps and the job history, which grows by a row a job until it is pruned.
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """Resident memory in KiB, open descriptors, threads, and processes below the agent."""

    memory: int
    descriptors: int
    threads: int
    processes: int

    def __str__(self) -> str:
        return (
            f"{self.memory / 1024:.1f} MiB resident, {self.descriptors} descriptors, {self.threads} threads,"
            f" {self.processes} processes below"
        )


def taken_by(pid: int) -> Taken:
    """Look at a process.  Raises OSError when it is gone."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    told = dict(line.split(":", 1) for line in lines if ":" in line)
    memory, threads = int(told["VmRSS"].split()[0]), int(told["Threads"])
    return Taken(memory, len(os.listdir(f"/proc/{pid}/fd")), threads, len(children(pid)))


def growth(samples: list[Taken]) -> str:
    """Return what grew more than it may from the first fifth of the samples to the last; "" for nothing."""
    warm = samples[WARMING:]
    fifth = len(warm) // 5
    if not fifth:
        return ""
    before, after = _median(warm[:fifth]), _median(warm[-fifth:])
    grown = [late - early for early, late in zip(astuple(before), astuple(after), strict=True)]
    if any(more > most for more, most in zip(grown, _MOST_GROWTH, strict=True)):
        return f"the agent grows: {before}; {after} in the end"
    return ""


def _median(samples: list[Taken]) -> Taken:
    columns = zip(*map(astuple, samples), strict=True)
    return Taken(*(int(statistics.median(column)) for column in columns))
