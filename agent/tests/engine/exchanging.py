# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two names that change places in one step, as a local user would have them do under a backup."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_rename = ctypes.CDLL(None, use_errno=True).renameat2
_rename.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)


def exchange(first: Path, second: Path) -> None:
    """Let two names change places; raises OSError."""
    if _rename(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@contextmanager
def exchanging(first: Path, second: Path) -> Iterator[None]:
    """Have another process exchange two names all the time."""

    def run() -> None:
        while True:
            exchange(first, second)

    process = multiprocessing.get_context("fork").Process(target=run, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()
