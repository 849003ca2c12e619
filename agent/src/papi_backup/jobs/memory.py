# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a job's processes keep memory that they will need again at once."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""``mallopt(3)``."""
_LARGEST_ON_HEAP = _KEPT = 16 << 20


def keep_freed_memory() -> None:
    """Have the C library give buffers of segments from what was freed before, not from new pages.

    Each segment has several buffers of up to 4 MiB for a few milliseconds.  glibc would get each from the
    kernel, page by page and zeroed, and give it back.  A process keeps up to 16 MiB of what was freed.
    Nothing happens with a C library that has no such settings.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_ON_HEAP)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
