# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's side of a restore in a unit of its own (docs/hardening.md).

The agent may read the host but write only its own directories; a restore must write anywhere.  So
systemd starts ``papi-backup-restore@.service`` for each connection to a socket that only root may use.
Over it go one line with the worker's priority, one with the order, and back the worker's messages.
Its end is the worker's end; the agent closing it ends the worker.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from pathlib import Path

from papi_backup.jobs.launching import Worker, WorkerLauncher
from papi_backup.jobs.orders import JobOrder, Message, dump_order, load_message
from papi_backup.jobs.worker_process import WorkerProtocolError
from papi_backup.model.errors import InternalError
from papi_backup.model.job import Progress, RestoreOrder

SEND_SECONDS = 10.0
"""How long systemd and the new process may take to accept the order."""

_ENDED_EARLY = 1
_READ_SIZE = 1 << 16


class UnitWorker:
    """A worker that another unit runs, at the other end of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        """Take over a connection over which the order has been sent."""
        connection.setblocking(False)
        self._connection = connection
        self._buffer = b""
        self._arrived: list[Message] = []
        self._unreadable: WorkerProtocolError | None = None
        self._has_outcome = False
        self._ended = False

    @property
    def at_end(self) -> bool:
        """Whether the other end is closed."""
        return self._ended

    def fileno(self) -> int:
        """Return the connection's descriptor."""
        return self._connection.fileno()

    def messages(self) -> list[Message]:
        """Return the messages that have arrived.  Raises :class:`WorkerProtocolError`."""
        self._receive()
        if self._unreadable is not None:
            raise self._unreadable
        arrived, self._arrived = self._arrived, []
        return arrived

    def exit_status(self) -> int | None:
        """Return 0 once the unit told an outcome and closed, 1 where it closed without one."""
        self._receive()
        if not self._ended:
            return None
        return 0 if self._has_outcome else _ENDED_EARLY

    def terminate(self) -> None:
        """Ask the worker to end and to take back what it wrote."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)

    def kill_group(self) -> None:
        """Hang up; the unit ends the worker, in order if it can."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._ended = True

    def close(self) -> None:
        """Hang up for good."""
        self._connection.close()

    def abandon(self) -> None:
        """Hang up for good: the unit ends its worker by itself."""
        self.close()

    def _receive(self) -> None:
        while not self._ended:
            try:
                data = self._connection.recv(_READ_SIZE)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            self._ended = not data
            self._buffer += data
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            message = load_message(line)
        except (ValueError, TypeError) as error:
            self._unreadable = WorkerProtocolError(type(error).__name__)
            return
        self._arrived.append(message)
        self._has_outcome = self._has_outcome or not isinstance(message, Progress)


class RestoreUnitLauncher:
    """Has systemd start the workers of restores; all others come from ``others``."""

    def __init__(self, path: Path, nice: int, ionice: str, others: WorkerLauncher) -> None:
        """``path`` is the socket that ``papi-backup-restore.socket`` listens on."""
        self._path = path
        self._priority = {"nice": nice, "ionice": ionice}
        self._others = others

    def launch(self, order: JobOrder) -> Worker:
        """Start a worker.  Raises :class:`InternalError` when the restore unit cannot be reached."""
        if not isinstance(order, RestoreOrder):
            return self._others.launch(order)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(SEND_SECONDS)
            connection.connect(os.fspath(self._path))
            connection.sendall(json.dumps(self._priority).encode() + b"\n" + dump_order(order) + b"\n")
        except OSError as error:
            connection.close()
            raise InternalError(
                f"the unit that runs restores cannot be reached at {self._path} ({error.strerror or error});"
                " is papi-backup-restore.socket started?"
            ) from error
        return UnitWorker(connection)
