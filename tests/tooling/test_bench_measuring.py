# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command took is told truly: wall, CPU with all children, the peak of the whole tree."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from bench.measuring import StepFailedError, measure
from bench.process_tree import PeakMemory, children, cpu_seconds, proportional_size, tree

MEGABYTE = 1 << 20
BURN = "import time\nwhile time.process_time() < 0.5: pass"
HOLD = "held = b'x' * (60 << 20); print(); import sys; sys.stdout.flush(); sys.stdin.read()"


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


def test_wall_time_is_that_of_the_command_and_waiting_costs_no_cpu() -> None:
    found = measure(["sleep", "0.4"])
    assert 0.4 <= found.wall < 3
    assert found.cpu < 0.3


def test_cpu_of_a_grandchild_counts() -> None:
    inner = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {BURN!r}])"
    assert 0.5 <= measure(python(inner)).cpu < 2


def test_cpu_of_a_child_that_outlives_the_command_counts_but_its_time_does_not() -> None:
    code = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(2)\\n' + {BURN!r}],
                 start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
"""
    found = measure(python(code))
    assert found.cpu >= 0.5
    assert found.wall < 2


def test_peak_memory_is_that_of_all_processes_at_once() -> None:
    two = f"""
import subprocess, sys, time
command = [sys.executable, '-S', '-c', {HOLD!r}]
running = [subprocess.Popen(command, stdin=-1, stdout=-1) for unused in range(2)]
[one.stdout.readline() for one in running]
time.sleep(0.6)
[one.communicate() for one in running]
"""
    assert 120 * MEGABYTE <= measure(python(two)).peak < 200 * MEGABYTE


def test_memory_that_two_processes_share_counts_once() -> None:
    shared = "import os, time\nheld = b'x' * (60 << 20)\npid = os.fork()\ntime.sleep(0.6)\nif pid: os.wait()"
    assert 60 * MEGABYTE <= measure(python(shared)).peak < 100 * MEGABYTE


def test_a_command_that_fails_is_no_figure_but_an_error_with_what_it_said() -> None:
    with pytest.raises(StepFailedError, match="status 3: no such luck"):
        measure(["sh", "-c", "echo no such luck >&2; exit 3"])


def test_a_part_of_a_pipe_that_fails_fails_the_command() -> None:
    with pytest.raises(StepFailedError):
        measure(["bash", "-o", "pipefail", "-c", "exit 4 | cat"])


def test_a_command_that_is_killed_is_an_error() -> None:
    with pytest.raises(StepFailedError):
        measure(["sh", "-c", "kill -9 $$"])


def test_a_tree_is_the_process_and_all_below_it() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 5 & wait"]) as process:
        deadline = time.monotonic() + 5
        while len(tree(process.pid)) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        found = tree(process.pid)
        assert found[0] == process.pid and len(found) == 2
        assert process.pid in children(os.getpid())
        for pid in reversed(found):
            os.kill(pid, 9)


def test_a_process_that_is_gone_has_no_children_no_memory_and_no_time() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    assert (children(process.pid), proportional_size(process.pid), cpu_seconds([process.pid])) == ([], 0, 0)


def test_the_peak_stays_when_the_memory_is_freed() -> None:
    with PeakMemory(lambda: [os.getpid()]) as memory:
        held = b"x" * (50 * MEGABYTE)
        time.sleep(0.3)
        del held
        time.sleep(0.2)
    assert memory.peak - proportional_size(os.getpid()) > 40 * MEGABYTE


def test_a_command_does_not_see_the_import_path_of_the_benchmark() -> None:
    with pytest.raises(StepFailedError, match="status 1: None"):
        measure(python("import os, sys; sys.exit(str(os.environ.get('PYTHONPATH')))"))
