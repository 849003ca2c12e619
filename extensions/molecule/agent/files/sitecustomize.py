# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""For tests only: brings one loop of the agent to a stop two seconds after its start."""

from __future__ import annotations

import gc
import importlib
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
    server, heartbeat, supervisor, scheduler = map(
        importlib.import_module,
        (
            "papi_backup.api.server",
            "papi_backup.jobs.heartbeat",
            "papi_backup.jobs.supervisor",
            "papi_backup.scheduler.loop",
        ),
    )
    found = gc.get_objects()
    for each in found:
        if isinstance(each, heartbeat.Heartbeat):
            each.limit = PATIENCE
    if name == "scheduler":
        scheduler.Scheduler.tick = sleep_for_good
    elif name == "job supervisor":
        supervisor.JobSupervisor._turn = sleep_for_good
    else:
        (api,) = [each for each in found if isinstance(each, server.ApiServer)]
        api._listeners[0]._loop.call_soon_threadsafe(sleep_for_good)


def sleep_for_good(*anything: object) -> None:
    """Do nothing, and do not come back."""
    del anything
    time.sleep(3600)


if any(argument.endswith("/papi-backup-agent") for argument in sys.orig_argv):
    threading.Thread(target=hang, daemon=True).start()
