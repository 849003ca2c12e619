# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the kernel ended a process of this unit because memory ran out, as its control group counts it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from papi_backup.model.sizes import MEBIBYTE

CONTROL_GROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
_NO_LIMIT = 1 << 60
"""The older hierarchy tells a number near this for no limit."""


@dataclass(frozen=True, slots=True)
class MemoryEvents:
    """What the group counts: how often its limit left no room, and how many processes were killed for memory.

    ``limit`` is in bytes, 0 for none.
    """

    limit: int
    met: int
    killed: int


def read_events(groups: Path = CONTROL_GROUPS, membership: Path = MEMBERSHIP) -> MemoryEvents | None:
    """Return the counts of this process's group; None where the host has no such group or does not tell."""
    try:
        rows = [line.split(":", 2) for line in membership.read_text().splitlines()]
        places = {controllers: place.lstrip("/") for _number, controllers, place in rows}
        if "memory" in places:
            return _of_the_older_hierarchy(groups / "memory" / places["memory"])
        return _of_the_unified_hierarchy(groups / places[""])
    except (OSError, KeyError, ValueError):
        return None


def _of_the_unified_hierarchy(group: Path) -> MemoryEvents:
    counts = _counts(group / "memory.events")
    limit = (group / "memory.max").read_text().strip()
    return MemoryEvents(0 if limit == "max" else int(limit), int(counts["oom"]), int(counts["oom_kill"]))


def _of_the_older_hierarchy(group: Path) -> MemoryEvents:
    limit = int((group / "memory.limit_in_bytes").read_text())
    met = int((group / "memory.failcnt").read_text())
    killed = int(_counts(group / "memory.oom_control")["oom_kill"])
    return MemoryEvents(0 if limit > _NO_LIMIT else limit, met, killed)


def _counts(file: Path) -> dict[str, str]:
    return dict(line.split() for line in file.read_text().splitlines())


class MemoryWatch:
    """Tells why processes that were started after it were killed."""

    def __init__(self, read: Callable[[], MemoryEvents | None] = read_events) -> None:
        self._read = read
        self._before = read()

    def why(self, status: int | None) -> str:
        """Return why a process ended with ``status``, negative for a signal; "" where memory is not to blame.

        The text goes on from "the process".
        """
        after = self._read()
        if status != -signal.SIGKILL or after is None or self._before is None:
            return ""
        if after.killed <= self._before.killed:
            return ""
        if after.limit and after.met > self._before.met:
            return (
                f"was ended by the kernel: memory limit of the unit ({after.limit // MEBIBYTE:,} MiB)"
                " was met; raise MemoryMax= (backup_agent_memory_max of the role), or lower helpers and"
                " parallel of [jobs] in agent.toml"
            )
        return "was ended by the kernel: the host has run out of memory"
