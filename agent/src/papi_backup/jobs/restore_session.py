# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main process of ``papi-backup-restore@.service``: one restore for the agent at standard input.

It starts the same worker that the agent would fork, passes its messages on and ends it when the agent
closes the connection.  The protocol is described in :mod:`papi_backup.jobs.restore_unit`.
"""

from __future__ import annotations

import json
import logging
import selectors
import socket
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from papi_backup.confinement import keep_to_itself
from papi_backup.jobs.edge import log_to_stderr
from papi_backup.jobs.launching import ForkingLauncher
from papi_backup.jobs.orders import Message, dump_message, load_order
from papi_backup.jobs.redaction import Redactor
from papi_backup.jobs.running import RunningJob
from papi_backup.jobs.worker_process import WORKER_COMMAND
from papi_backup.model.job import Job, RestoreOrder

log = logging.getLogger(__name__)

LONGEST_ORDER = 64 << 20
ORDER_SECONDS = 30.0
LOOK_SECONDS = 0.2
"""How often the worker's exit is looked for: its helpers may hold its pipe open when it dies."""

GONE = "the agent closed the connection"


class OrderError(Exception):
    """What came over the connection is no order of a restore.  The text does not repeat it."""


def receive_order(connection: socket.socket) -> tuple[int, str, RestoreOrder]:
    """Return niceness, I/O class and order.  Raises :class:`OrderError` and ``OSError``."""
    connection.settimeout(ORDER_SECONDS)
    data = bytearray()
    while data.count(b"\n") < 2:
        received = connection.recv(1 << 16)
        data += received
        if not received or len(data) > LONGEST_ORDER:
            raise OrderError("the connection ended before the order did" if not received else "too long")
    first, second, rest = bytes(data).split(b"\n", 2)
    try:
        priority, order = json.loads(first), load_order(second)
        nice, ionice = int(priority["nice"]), str(priority["ionice"])
    except (ValueError, TypeError, KeyError) as error:
        raise OrderError(type(error).__name__) from None
    if rest or not isinstance(order, RestoreOrder):
        raise OrderError("only one restore a connection is run here")
    return nice, ionice, order


def serve(connection: socket.socket, command: Sequence[str] = WORKER_COMMAND) -> int:
    """Run the restore that comes over ``connection``; the exit status is 0 unless there was no order."""
    try:
        nice, ionice, order = receive_order(connection)
    except (OrderError, OSError) as error:
        log.error("no restore was started: %s", error)
        return 1
    connection.settimeout(ORDER_SECONDS)
    worker = ForkingLauncher(nice, ionice, command).launch(order)
    name = order.options.backup_name
    log.info("a restore of %r starts", name)
    outcome = _follow(RunningJob(_job(name), order, worker), connection)
    if outcome is not None:
        _send(connection, outcome)
    log.info("the restore of %r has ended", name)
    return 0


def _follow(running: RunningJob, connection: socket.socket) -> Message | None:
    """Pass progress on until the worker is gone; the outcome, or None where nobody waits for it any more."""
    told, listening = running.progress, True
    while (outcome := running.poll()) is None:
        if listening and (progress := running.progress) != told:
            told = progress
            listening = _send(connection, told)
        if listening and not _hung_up(running, connection):
            continue
        listening = False
        running.end(GONE)
        time.sleep(LOOK_SECONDS)
    return outcome if listening else None


def _hung_up(running: RunningJob, connection: socket.socket) -> bool:
    """Wait a moment for the worker or the agent; whether the agent has closed its side."""
    with selectors.PollSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        if not running.worker.at_end:
            selector.register(running.worker, selectors.EVENT_READ)
        ready = selector.select(LOOK_SECONDS)
    # The agent has nothing more to say: whatever can be read is the end, or as good as it.
    return any(key.fileobj is connection for key, events in ready if events)


def _send(connection: socket.socket, message: Message) -> bool:
    try:
        connection.sendall(dump_message(message))
    except OSError:
        return False
    return True


def _job(backup_name: str) -> Job:
    """Return the job as far as its worker's follower looks at it; the agent keeps the real one."""
    return Job(0, "restore", "running", backup_name, "full", datetime.now(UTC))


def main() -> int:
    """Serve the connection that systemd put at standard input."""
    keep_to_itself()
    log_to_stderr(Redactor())
    with socket.socket(fileno=0) as connection:
        return serve(connection)


if __name__ == "__main__":
    sys.exit(main())
