# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What processes hold in memory: the proportional set size of a tree of them (Linux, proc_pid_smaps)."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path

from realparts.process import descendants

SAMPLE_SECONDS = 0.1


def kibibytes(pid: int, field: str) -> int:
    """Return a field of a process' smaps_rollup; 0 for a process that is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1])
    return 0


class PeakMemory:
    """Samples a process and all below it until closed; a context manager."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.peak = 0
        """Bytes: the largest sum of proportional set sizes seen."""
        self.processes: list[int] = []
        """Bytes of each process then, the worker first."""

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *unused_details: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            started = time.monotonic()
            sizes = [kibibytes(pid, "Pss") << 10 for pid in [self._pid, *descendants(self._pid)]]
            if sum(sizes) > self.peak:
                self.peak, self.processes = sum(sizes), sizes
            # Reading smaps costs time of the machine under test: never more than a tenth of it.
            self._stopping.wait(max(SAMPLE_SECONDS, 9 * (time.monotonic() - started)))
