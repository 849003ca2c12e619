# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every process of the agent does first: keep its memory and its files to itself (docs/hardening.md)."""

from __future__ import annotations

import ctypes
import os

_PR_SET_DUMPABLE = 4
_PRIVATE = 0o077


def keep_to_itself() -> None:
    """Keep secrets out of core dumps and other users' reach, whoever started this process and however.

    Forked processes inherit both; one that executes a program has to call this itself.
    """
    keep_memory()
    os.umask(_PRIVATE)


def keep_memory() -> None:
    """Have the kernel write no core of this process, and let only root look into its memory.

    A limit of zero for cores alone does not do: it does not hold where cores are piped to a program.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
