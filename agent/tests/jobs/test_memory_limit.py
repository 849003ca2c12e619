# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job tells whose process the kernel ended for its memory, by what a control group counts."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from papi_backup.memory_limit import MemoryEvents, MemoryWatch, read_events

QUIET = MemoryEvents(1 << 30, 3, 3)
MET = MemoryEvents(1 << 30, 4, 4)
HOST_FULL = MemoryEvents(0, 0, 1)


def why(before: MemoryEvents | None, after: MemoryEvents | None, status: int | None) -> str:
    answers = iter([before, after])
    return MemoryWatch(lambda: next(answers)).why(status)


def test_a_process_that_met_the_units_limit_says_so_and_what_to_do() -> None:
    told = why(QUIET, MET, -signal.SIGKILL)
    assert told.startswith("was ended by the kernel: memory limit of the unit (1,024 MiB)")
    assert "backup_agent_memory_max" in told


def test_a_host_that_ran_out_is_not_called_a_limit() -> None:
    told = why(MemoryEvents(0, 0, 0), HOST_FULL, -signal.SIGKILL)
    assert told == "was ended by the kernel: the host has run out of memory"


@pytest.mark.parametrize(
    ("before", "after", "status"),
    [
        (QUIET, QUIET, -signal.SIGKILL),
        (QUIET, MET, -signal.SIGTERM),
        (QUIET, MET, 1),
        (QUIET, MET, None),
        (None, MET, -signal.SIGKILL),
        (QUIET, None, -signal.SIGKILL),
    ],
    ids=["killed by somebody", "another signal", "an exit", "still there", "not told before", "not told now"],
)
def test_memory_is_blamed_for_nothing_else(
    before: MemoryEvents | None, after: MemoryEvents | None, status: int | None
) -> None:
    assert why(before, after, status) == ""


FILES = {
    "unified": {
        "memory.events": "low 0\nhigh 0\nmax 7\noom 2\noom_kill 1\noom_group_kill 0\n",
        "memory.max": "671088640\n",
    },
    "older": {
        "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
        "memory.failcnt": "2\n",
        "memory.limit_in_bytes": "671088640\n",
    },
}
LIMITS = [
    ("unified", "memory.max", "671088640", 640 << 20),
    ("unified", "memory.max", "max", 0),
    ("older", "memory.limit_in_bytes", "671088640", 640 << 20),
    ("older", "memory.limit_in_bytes", "9223372036854771712", 0),
]


def make_group(base: Path, hierarchy: str) -> Path:
    """Make the group of a process below ``base``, and what tells its place."""
    controllers, top = ("", "") if hierarchy == "unified" else ("memory", "memory")
    (base / "cgroup").write_text(f"9:pids:/\n0:{controllers}:/system.slice/agent.service\n")
    group = base / "groups" / top / "system.slice" / "agent.service"
    group.mkdir(parents=True)
    for name, text in FILES[hierarchy].items():
        (group / name).write_text(text)
    return group


@pytest.mark.parametrize(("hierarchy", "file", "most", "limit"), LIMITS)
def test_the_counts_are_those_of_the_processs_own_group(
    tmp_path: Path, hierarchy: str, file: str, most: str, limit: int
) -> None:
    (make_group(tmp_path, hierarchy) / file).write_text(f"{most}\n")
    assert read_events(tmp_path / "groups", tmp_path / "cgroup") == MemoryEvents(limit, 2, 1)


@pytest.mark.parametrize("hierarchy", FILES)
@pytest.mark.parametrize("text", [None, "as it pleases\n", ""])
def test_a_host_that_does_not_tell_blames_nothing(tmp_path: Path, hierarchy: str, text: str | None) -> None:
    group = make_group(tmp_path, hierarchy)
    for name in FILES[hierarchy]:
        (group / name).unlink() if text is None else (group / name).write_text(text)
    assert read_events(tmp_path / "groups", tmp_path / "cgroup") is None
