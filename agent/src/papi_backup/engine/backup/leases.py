# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long one backup waits for files on which other processes hold leases.

The kernel asks the holder to give a lease back as soon as somebody opens the file, and takes it after
``/proc/sys/fs/lease-break-time``, 45 seconds.  Samba gives its leases back at once; a local user who never
does, on a thousand files, must not keep a backup for half a day.
"""

from __future__ import annotations

import errno
import multiprocessing
import time
from collections.abc import Callable

ALL_SECONDS = 20.0
"""What all helpers of one job may wait for all leases together."""
_STEP_SECONDS = 0.02


class Patience:
    """The seconds of waiting that one job has left, in memory that its helpers share."""

    def __init__(
        self,
        seconds: float = ALL_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._left = multiprocessing.get_context("fork").Value("d", seconds)
        self._sleep = sleep
        self._clock = clock

    def outlast(self, attempt: Callable[[], int]) -> int:
        """Return what ``attempt``, which opens without waiting, returns once the lease is given back.

        Raises BlockingIOError, in words for the user, when the job has waited long enough.
        """
        while self._left.value > 0:
            began = self._clock()
            self._sleep(_STEP_SECONDS)
            with self._left.get_lock():
                self._left.value -= self._clock() - began
            try:
                return attempt()
            except BlockingIOError:
                continue
        raise BlockingIOError(
            errno.EWOULDBLOCK,
            "another process holds a lease on it and did not give it back within the "
            f"{self._seconds:.0f} seconds that a backup waits for all leases; end it to have the file saved",
        )
