# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""For tests only: brings one loop of the agent to a stop two seconds after its start, and shortens its patience."""

from __future__ import annotations

import gc
import sys
import threading
import time

PATIENCE = 12.0
"""Seconds; each loop beats at least every 10."""


def hang() -> None:
    """Hang the loop that the file names."""
    with open("/etc/papi-backup-hang.txt", encoding="utf-8") as file:
        name = file.read().strip()
    time.sleep(2)
    from papi_backup.api.server import ApiServer
    from papi_backup.jobs.heartbeat import Heartbeat
    from papi_backup.jobs.supervisor import JobSupervisor
    from papi_backup.scheduler.loop import Scheduler

    found = gc.get_objects()
    for heartbeat in [each for each in found if isinstance(each, Heartbeat)]:
        heartbeat.limit = PATIENCE
    if name == "scheduler":
        Scheduler.tick = lambda self: time.sleep(3600)
    elif name == "job supervisor":
        JobSupervisor._turn = lambda self: time.sleep(3600)
    else:
        (server,) = [each for each in found if isinstance(each, ApiServer)]
        server._loop.call_soon_threadsafe(time.sleep, 3600)


if any(argument.endswith("/papi-backup-agent") for argument in sys.orig_argv):
    threading.Thread(target=hang, daemon=True).start()
