# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real agent that has nothing to do: what it costs the host."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from agent_process import AgentProcess, eventually

BACKUP = "/papi/backup"
SETTLING_SECONDS = 3.0
WATCHED_SECONDS = 10.0
MOST_WAKE_UPS = 15
"""In those seconds, of all threads.  Seven or eight are due: twice those of the main thread, of the API's
loop and of the job queue, for the watchdog, and one of the scheduler."""
WINDOWS = 6
"""The quietest counts: where all cores are busy a thread also sleeps while it waits for another, and what
wakes a thread by the clock is in every window."""
MEBIBYTE = 1 << 20


def wake_ups(pid: int) -> int:
    """Return how often the threads of a process have gone to sleep so far."""
    count = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                count += int(line.split()[1])
    return count


def watched(processes: list[int]) -> list[int]:
    """Return how often each process wakes up in the time for which they are watched."""
    before = [wake_ups(pid) for pid in processes]
    time.sleep(WATCHED_SECONDS)
    return [wake_ups(pid) - count for pid, count in zip(processes, before, strict=True)]


def resident(pid: int) -> int:
    """Return the resident bytes of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise AssertionError(pid)


def ask_a_storage(daemon: AgentProcess) -> None:
    """Have a query process started, which stays when it has answered."""
    added = daemon.ask(
        f"{BACKUP}/storage/s3/add",
        "POST",
        storage_name="nowhere",
        aws_key_id="id",
        aws_secret_key="none",
        bucket_name="bucket",
        file_size="8",
        endpoint_url="http://127.0.0.1:1",
    )
    assert added["success"] == 1, added
    assert daemon.ask(f"{BACKUP}/backup/list", "POST", storage_name="nowhere")["success"] == 0
    eventually(daemon.children, "a query process stays")


@pytest.mark.slow
def test_an_agent_at_rest_is_small_and_wakes_for_its_schedules_and_its_watchdog_alone(
    daemon: AgentProcess,
) -> None:
    daemon.start_and_wait()
    ask_a_storage(daemon)
    time.sleep(SETTLING_SECONDS)
    processes = [daemon.pid, *daemon.children()]
    seen = [watched(processes)]
    while len(seen) < WINDOWS and min(seen)[0] > MOST_WAKE_UPS:
        seen.append(watched(processes))
    print(f"{seen} wake-ups in {WATCHED_SECONDS} s each; {resident(daemon.pid):,} bytes resident")
    assert min(seen)[0] <= MOST_WAKE_UPS
    assert [queries for _agent, *queries in seen] == [[0]] * len(seen)
    assert resident(daemon.pid) < 60 * MEBIBYTE
