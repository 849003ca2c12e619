# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Buffers that a process makes once and may never need."""

from __future__ import annotations

import mmap


def fresh_buffer(size: int) -> memoryview:
    """Return a buffer of ``size`` bytes, at least one, whose pages take no memory before they are written to.

    A ``bytearray`` is zeroed when it is made, and takes all of it at once.  Raises MemoryError.
    """
    try:
        return memoryview(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
    except OSError:
        raise MemoryError from None
