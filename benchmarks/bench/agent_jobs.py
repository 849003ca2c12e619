# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures what an agent does: a job from its call to its success, or a call that waits for its answer."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.agent_api import job
from bench.measuring import Figures, StepFailedError, loopback_bytes, settle
from bench.process_tree import PeakMemory, children, cpu_seconds, tree

LOOK_SECONDS = 0.005
"""How often /proc is asked for the worker's start, and the agent, once it has ended, for the outcome."""

JOB_SECONDS = 1800.0
LATE_SECONDS = 0.2
"""After this long without a worker the agent is asked whether the job has ended already."""

_WORKER = b"papi_backup.jobs.worker"


def measure_job(
    pid: int, socket: Path, start: Callable[[], dict[str, Any]]
) -> tuple[Figures, dict[str, Any]]:
    """Call ``start``, which queues a job; return what it took until it was a success, and the job.

    Nothing is asked of the agent while the worker runs: its exit wakes this process.  CPU is that of the
    daemon and all below it; memory that of the worker and its helpers.  Raises :class:`StepFailedError`.
    """
    settle()
    resting = set(children(pid))
    cpu, moved = cpu_seconds(tree(pid)), loopback_bytes()
    workers: list[int] = []
    with PeakMemory(lambda: [one for worker in workers for one in tree(worker)]) as memory:
        began = time.perf_counter()
        job_id = int(start()["job_id"])
        _wait_for_worker(pid, socket, job_id, resting, workers)
        ended = _wait_for_outcome(socket, job_id, began + JOB_SECONDS)
        wall = time.perf_counter() - began
    used = cpu_seconds(tree(pid)) - cpu
    if ended["job_status"] != "success":
        raise StepFailedError(f"the job failed: {ended['description']}")
    return Figures(wall, used, memory.peak, loopback_bytes() - moved), ended


def measure_call(pid: int, ask: Callable[[], object]) -> Figures:
    """Measure a call that waits; memory is that of the processes below the daemon that serve it."""
    settle()
    cpu, moved = cpu_seconds(tree(pid)), loopback_bytes()
    with PeakMemory(lambda: tree(pid)[1:]) as memory:
        began = time.perf_counter()
        ask()
        wall = time.perf_counter() - began
    return Figures(wall, cpu_seconds(tree(pid)) - cpu, memory.peak, loopback_bytes() - moved)


def _wait_for_worker(pid: int, socket: Path, job_id: int, resting: set[int], workers: list[int]) -> None:
    """Wait until the worker has come and gone, or the job ended without one being seen."""
    began = time.monotonic()
    asked = began
    while not workers:
        workers += [one for one in set(children(pid)) - resting if _is_worker(one)]
        if time.monotonic() - began > LATE_SECONDS and time.monotonic() - asked > 4 * LOOK_SECONDS:
            asked = time.monotonic()
            if job(socket, job_id)["job_status"] in ("success", "failed"):
                return
        time.sleep(LOOK_SECONDS)
    with _watched(workers[0]) as watch:
        watch.poll(JOB_SECONDS * 1000)


@contextlib.contextmanager
def _watched(pid: int) -> Iterator[select.poll]:
    """A poll that returns when the process has ended."""
    watch = select.poll()
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        descriptor = os.open(os.devnull, os.O_RDONLY)  # it has ended: always ready
    watch.register(descriptor, select.POLLIN)
    try:
        yield watch
    finally:
        os.close(descriptor)


def _wait_for_outcome(socket: Path, job_id: int, deadline: float) -> dict[str, Any]:
    while True:
        found = job(socket, job_id)
        if found["job_status"] in ("success", "failed"):
            return found
        if time.perf_counter() > deadline:
            raise StepFailedError(f"job {job_id} did not end: {found['job_status']}")
        time.sleep(LOOK_SECONDS)


def _is_worker(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return _WORKER in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return False
