# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job tells whose process the kernel ended for its memory, by what a control group counts."""

from __future__ import annotations

import os
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


@pytest.fixture
def group(tmp_path: Path) -> Path:
    group = tmp_path / "groups" / "system.slice" / "agent.service"
    group.mkdir(parents=True)
    (tmp_path / "cgroup").write_text("0::/system.slice/agent.service\n")
    (group / "memory.events").write_text("low 0\nhigh 0\nmax 7\noom 2\noom_kill 1\noom_group_kill 0\n")
    (group / "memory.max").write_text("671088640\n")
    return group


@pytest.mark.parametrize(("most", "limit"), [("671088640", 640 << 20), ("max", 0)])
def test_the_counts_are_those_of_the_processs_own_group(
    group: Path, tmp_path: Path, most: str, limit: int
) -> None:
    (group / "memory.max").write_text(f"{most}\n")
    assert read_events(tmp_path / "groups", tmp_path / "cgroup") == MemoryEvents(limit, 2, 1)


@pytest.mark.parametrize("spoil", ["older hierarchy", "no such file", "other text"])
def test_a_host_that_does_not_tell_is_not_asked_twice(group: Path, tmp_path: Path, spoil: str) -> None:
    if spoil == "older hierarchy":
        (tmp_path / "cgroup").write_text("4:memory:/system.slice/agent.service\n")
    elif spoil == "no such file":
        (group / "memory.events").unlink()
    else:
        (group / "memory.max").write_text("as it pleases\n")
    assert read_events(tmp_path / "groups", tmp_path / "cgroup") is None


def test_the_real_group_of_this_process_is_read_or_not_there() -> None:
    found = read_events()
    unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    assert found is None or (unified and os.path.exists("/proc/self/cgroup"))
