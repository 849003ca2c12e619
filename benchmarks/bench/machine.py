# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the machine is, without its name and its paths."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from realparts.process import ServerError
from realparts.sshd import find_sshd
from realparts.weed import find_weed

_VERSION = re.compile(r"\d+\.\d+[^\s,]*")


def describe(work: Path) -> dict[str, str]:
    """Return facts for people, by their titles; ``work`` is where the data lies."""
    return {
        "processor": f"{_processor()}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        "kernel": platform.release().split("-")[0],
        "system": _system(),
        "file system": _file_system(work),
        "Python": platform.python_version(),
        "user": "root" if os.geteuid() == 0 else "not root",
        "OpenSSH (server)": _said(find_sshd, "-V"),
        "SeaweedFS": _said(find_weed, "version"),
    }


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _system() -> str:
    with suppress(OSError):
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    return "Linux"


def _file_system(work: Path) -> str:
    """Return the type of the file system that holds ``work``."""
    best, found = -1, "unknown"
    with suppress(OSError):
        for line in Path("/proc/self/mounts").read_text().splitlines():
            place, kind = line.split()[1:3]
            if work.is_relative_to(place) and len(place) >= best:
                best, found = len(place), kind
    return found


def _said(find: Callable[[], str], option: str) -> str:
    with suppress(ServerError, OSError):
        done = subprocess.run([find(), option], capture_output=True, text=True, check=False)
        match = _VERSION.search(done.stdout + done.stderr)
        return match.group() if match else "unknown"
    return "none"
