# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Buffers of segments come from memory that the process has already."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
from papi_backup.jobs.memory import keep_freed_memory
{first}
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def use():
    held = [b"x" * size for size in (4 << 20, 3 << 20, 4 << 20, 1 << 20)]
    del held
use()
before = faults()
for _turn in range(50):
    use()
print(faults() - before)
"""
PAGES = 50 * 12 * 256


def page_faults(first: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(first=first)], check=True, capture_output=True, text=True
    )
    return int(done.stdout)


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's alone: elsewhere the function does nothing"
)
def test_freed_buffers_are_used_again() -> None:
    assert page_faults("keep_freed_memory()") < PAGES / 10
    assert page_faults("") > PAGES / 2
