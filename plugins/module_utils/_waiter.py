# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits for a job's end.  The agent owns the job: a lost connection costs the module nothing but patience.

Private to papi.backup: it may change in any release.
"""

from __future__ import annotations

import time

from ansible_collections.papi.backup.plugins.module_utils._errors import ConnectionFailure

FINISHED = ("success", "failed")

# Long enough for an agent to restart or be upgraded under a waiting task.
PATIENCE_SECONDS = 120.0

_FIRST_SLEEP_SECONDS = 0.2
_GROWTH = 1.5


class Waiter:
    """Asks more and more rarely, up to every ``sleep`` seconds; ``timeout`` 0 waits without limit."""

    def __init__(self, timeout, sleep, clock=time.monotonic, pause=time.sleep):
        self._timeout = timeout
        self._longest = max(sleep, 0.05)
        self._clock = clock
        self._pause = pause

    def wait(self, look):
        """Call ``look()`` until the job it returns has ended.

        Returns the last job seen, ended or not; the caller tells the two apart by ``job_status``.
        Raises ConnectionFailure when the agent stays away longer than PATIENCE_SECONDS.
        """
        begun = seen = self._clock()
        sleep = min(_FIRST_SLEEP_SECONDS, self._longest)
        job = None
        while True:
            try:
                job = look()
                seen = self._clock()
            except ConnectionFailure:
                if self._clock() - seen > PATIENCE_SECONDS:
                    raise
            if job is not None and job.get("job_status") in FINISHED:
                return job
            left = self._timeout - (self._clock() - begun) if self._timeout > 0 else sleep
            if left <= 0 and job is not None:
                return job
            self._pause(max(0.05, min(sleep, left)))
            sleep = min(sleep * _GROWTH, self._longest)
