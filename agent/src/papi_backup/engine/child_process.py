# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What forked processes of a job share: not to outlive the job (Linux), and to tell it why they ended."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess

from papi_backup.memory_limit import MemoryWatch

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel send SIGKILL to this process when the thread that forked it ends.

    Call it first thing after the fork, with the id the parent had before it.  A parent that ended
    before the kernel was told could never be noticed: then this process ends here, and the call does
    not return.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)


def how_it_ended(process: ForkProcess, memory: MemoryWatch) -> str:
    """Return words for a process that ended without telling why."""
    why = memory.why(process.exitcode)
    return why or f"ended unexpectedly (exit status {process.exitcode})"


def tell_failure(pipe: Connection, code: int, text: str, trace: str) -> None:
    """Send the job ``("failed", code, text, trace)``; one that has ended before needs no answer."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        pipe.send(("failed", code, text, trace))
