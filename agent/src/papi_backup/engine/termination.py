# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGTERM as an orderly end: what was begun is taken back, on this host and on the storage."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Iterator
from typing import NoReturn


@contextlib.contextmanager
def orderly_termination() -> Iterator[None]:
    """Make SIGTERM unwind this process and its helpers, so that they clean up, where nobody handles it.

    Processes forked inside unwind as well: they inherit the handler.  Whoever ends a job signals its
    first process only: helpers that died before it would look like the failure of the job.
    """
    try:
        before = signal.signal(signal.SIGTERM, unwind)
    except ValueError:
        yield  # not the main thread: whoever runs us there ends us in another way
        return
    if before is not signal.SIG_DFL:
        signal.signal(signal.SIGTERM, before)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def unwind(number: int, frame: object) -> NoReturn:
    """End this process by ``SystemExit``, once, and have its helpers do so at the same time."""
    del frame
    signal.signal(number, signal.SIG_IGN)
    for helper in multiprocessing.active_children():
        helper.terminate()
    raise SystemExit(128 + number)
