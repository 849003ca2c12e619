# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long one backup waits for files on which other processes hold leases.

The kernel asks the holder to give a lease back as soon as somebody opens the file, and takes it after
``/proc/sys/fs/lease-break-time``, 45 seconds.  Samba gives its leases back at once; a local user who never
does, on a thousand files, must not keep a backup for half a day.
"""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.sharedctypes import Synchronized

ALL_SECONDS = 20.0
"""What all helpers of one job may wait for all leases together."""
GLANCES_SECONDS = 10.0
"""What they may wait afterwards, one step a file: what Samba gives back at once is not left out."""
_STEP_SECONDS = 0.02


class Patience:
    """The seconds of waiting that one job has left, in memory that its helpers share."""

    def __init__(
        self,
        seconds: float = ALL_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        glances: float = GLANCES_SECONDS,
    ) -> None:
        self._seconds = seconds
        memory = multiprocessing.get_context("fork")
        self._left = memory.Value("d", seconds)
        self._left_for_glances = memory.Value("d", glances)
        self._sleep = sleep
        self._clock = clock

    def outlast(self, attempt: Callable[[], int]) -> int:
        """Return what ``attempt``, which opens without waiting, returns once the lease is given back.

        Raises BlockingIOError, in words for the user, when the job has waited long enough.
        """
        while self._waited(self._left):
            with contextlib.suppress(BlockingIOError):
                return attempt()
        if self._waited(self._left_for_glances):
            with contextlib.suppress(BlockingIOError):
                return attempt()
        raise BlockingIOError(
            errno.EWOULDBLOCK,
            "another process holds a lease on it and did not give it back within the "
            f"{self._seconds:.0f} seconds that a backup waits for all leases; end it to have the file saved",
        )

    def _waited(self, left: Synchronized[float]) -> bool:
        """Wait for one step and take it off what is left; return False where nothing is left."""
        if left.value <= 0:
            return False
        began = self._clock()
        self._sleep(_STEP_SECONDS)
        with left.get_lock():
            left.value -= self._clock() - began
        return True
