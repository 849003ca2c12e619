# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a job's worker comes from: forked by the agent, or started by systemd in a unit of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from papi_backup.jobs.orders import JobOrder, Message
from papi_backup.jobs.worker_process import WORKER_COMMAND, WorkerProcess


class Worker(Protocol):
    """A worker at work, wherever it runs.  No method waits."""

    @property
    def at_end(self) -> bool:
        """Whether no further message can come."""

    def fileno(self) -> int:
        """Return the descriptor to wait on for messages."""

    def messages(self) -> list[Message]:
        """Return the messages that have arrived.  Raises :class:`WorkerProtocolError`."""

    def exit_status(self) -> int | None:
        """Return the exit status, negative for a signal, or None while the worker runs."""

    def terminate(self) -> None:
        """Ask the worker to end and to take back what it wrote."""

    def kill_group(self) -> None:
        """End the worker and its helpers at once."""

    def close(self) -> None:
        """End what is left, and free what the worker held in this process."""

    def abandon(self) -> None:
        """Free what it held in this process; it was killed and has not ended."""


class WorkerLauncher(Protocol):
    """Starts workers."""

    def launch(self, order: JobOrder) -> Worker:
        """Start one.  Raises ``OSError`` or :class:`PapiError` when it cannot be started."""


class ForkingLauncher:
    """Starts workers as children of this process."""

    def __init__(self, nice: int, ionice: str, command: Sequence[str] = WORKER_COMMAND) -> None:
        self._command = (*command, "--nice", str(nice), "--ionice", ionice)

    def launch(self, order: JobOrder) -> Worker:
        """Start one; from a thread that outlives it."""
        return WorkerProcess(order, self._command)
