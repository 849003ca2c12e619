# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon at rest: how much it holds in memory, and how often each of its threads wakes up."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import NamedTuple

from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage
from papi_backup.state.store import Store
from realparts.agent import Agent, UnixConnection
from realparts.process import descendants
from scale.memory import kibibytes

SETTLING_SECONDS = 10.0


class Thread(NamedTuple):
    """A thread of a process: its ids and its name."""

    pid: int
    tid: int
    name: str


def wake_ups(pids: list[int]) -> dict[Thread, int]:
    """Return how often each thread has given up the processor of its own will, to sleep."""
    found = {}
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                lines = (task / "status").read_text().splitlines()
                fields = dict(line.partition(":")[::2] for line in lines)
                thread = Thread(pid, int(task.name), fields["Name"].strip())
                found[thread] = int(fields["voluntary_ctxt_switches"])
    return found


def measure(directory: Path, seconds: float) -> tuple[int, float]:
    """Print the figures; return the daemon's resident bytes and the wake-ups a minute of all its threads."""
    place = directory / "resting"
    (place / "state").mkdir(parents=True, mode=0o700, exist_ok=True)
    with Store.open(place / "state") as store:
        store.storages.add(S3Storage("nobody", "id", Secret("none"), "bucket", 0, "http://127.0.0.1:1"))
    with Agent(place, "bench.example") as agent:
        # A listing starts a query process, which then waits for the next question.
        connection = UnixConnection(agent.socket)
        connection.request("GET", "/papi/backup/backup/list")
        connection.getresponse().read()
        connection.close()
        time.sleep(SETTLING_SECONDS)
        daemon = agent.pid
        pids = [daemon, *descendants(daemon)]
        before = wake_ups(pids)
        time.sleep(seconds)
        after = wake_ups(pids)
        total = 0.0
        for pid in pids:
            resident, proportional = kibibytes(pid, "Rss") / 1e3, kibibytes(pid, "Pss") / 1e3
            what = "the daemon" if pid == daemon else "a query process"
            print(
                f"{what} at rest: {resident:.1f} MB resident, {proportional:.1f} MB proportional", flush=True
            )
        for thread, count in sorted(after.items()):
            woke = (count - before.get(thread, 0)) * 60 / seconds
            total += woke
            print(f"  thread {thread.tid} {thread.name:<16} {woke:6.1f} wake-ups a minute", flush=True)
        return kibibytes(daemon, "Rss") << 10, total
