# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a worker asks of the kernel: low priority, and to die with the agent (Linux)."""

from __future__ import annotations

import ctypes
import os
import platform
import signal

_PR_SET_PDEATHSIG = 1
_IOPRIO_WHO_PROCESS = 1
_IOPRIO = {"best-effort": (2 << 13) | 7, "idle": 3 << 13}
"""Class in the upper bits, level below.  The idle class never runs on a disk that is never idle."""

_IOPRIO_SET_CALLS = {"x86_64": 251, "aarch64": 30, "riscv64": 30, "ppc64le": 273, "s390x": 282}
"""The system call has no wrapper in libc; the number belongs to the architecture."""


def die_with_parent(parent: int) -> bool:
    """Have the kernel send SIGKILL when the thread that started this process ends.

    Returns False when ``parent`` was gone before the kernel knew: the caller must leave.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    return os.getppid() == parent


def lower_priority(nice: int, ionice: str) -> None:
    """Give way to everything else on the host.

    ``nice`` is added to this process's niceness; ``ionice`` is "idle", "best-effort" (its lowest
    level) or "none" (left alone).  What the kernel refuses is left as it is.
    """
    os.nice(nice)
    call, value = _IOPRIO_SET_CALLS.get(platform.machine()), _IOPRIO.get(ionice)
    if call is not None and value is not None:
        ctypes.CDLL(None, use_errno=True).syscall(call, _IOPRIO_WHO_PROCESS, 0, value)
