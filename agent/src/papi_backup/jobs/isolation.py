# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a worker asks of the kernel: low priority, and to die with the agent (Linux)."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import signal
from dataclasses import dataclass

_LOWEST = 19
_PR_SET_PDEATHSIG = 1
_IOPRIO_WHO_PROCESS = 1
_IOPRIO_WHO_PGRP = 2
_IOPRIO_CLASSES = 7 << 13
_IOPRIO = {"best-effort": (2 << 13) | 7, "idle": 3 << 13}
"""Class in the upper bits, level below.  The idle class never runs on a disk that is never idle."""

_IOPRIO_SET_CALLS = {"x86_64": 251, "aarch64": 30, "riscv64": 30, "ppc64le": 273, "s390x": 282}
"""The system call has no wrapper in libc; the number belongs to the architecture.  The next is ioprio_get."""


def die_with_parent(parent: int) -> bool:
    """Have the kernel send SIGKILL when the thread that started this process ends.

    Returns False when ``parent`` was gone before the kernel knew: the caller must leave.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    return os.getppid() == parent


@dataclass(frozen=True, slots=True)
class Priority:
    """Niceness, -20 to 19, and the kernel's number for class and level of I/O."""

    nice: int
    io: int

    def lowered(self, nice: int, ionice: str) -> Priority:
        """Return this with ``nice`` added, and the I/O class "idle", "best-effort" (its lowest level) or
        "none", which is this one's.
        """
        return Priority(min(_LOWEST, self.nice + nice), _IOPRIO.get(ionice, self.io))


def own_priority() -> Priority:
    """Return the priority that this process has."""
    found = _system_call(1, _IOPRIO_WHO_PROCESS, 0)
    # A level without a class, which the kernel tells, is none that it takes.
    return Priority(os.getpriority(os.PRIO_PROCESS, 0), found if found & _IOPRIO_CLASSES else 0)


def set_priority(priority: Priority) -> None:
    """Set the priority of this process's group: the job with its helpers, and their threads.

    What the kernel refuses is left as it is: whoever has no CAP_SYS_NICE may only lower a priority.
    """
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PGRP, 0, priority.nice)
    _system_call(0, _IOPRIO_WHO_PGRP, 0, priority.io)


def _system_call(after: int, *arguments: int) -> int:
    """Call ioprio_set (0) or ioprio_get (1); 0 where that is refused or not known."""
    call = _IOPRIO_SET_CALLS.get(platform.machine())
    if call is None:
        return 0
    return max(0, int(ctypes.CDLL(None, use_errno=True).syscall(call + after, *arguments)))
