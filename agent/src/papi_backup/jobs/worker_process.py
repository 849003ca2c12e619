# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's side of one worker process: start it, read its messages, end it with its helpers."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence

from papi_backup.jobs.orders import JobOrder, Message, dump_order, load_message

WORKER_COMMAND = (sys.executable, "-P", "-m", "papi_backup.jobs.worker")
"""``-P`` keeps the working directory off the import path."""

_READ_SIZE = 1 << 16


class WorkerProtocolError(Exception):
    """The worker wrote something that is no message.  The text does not repeat it: it may be secret."""


class WorkerProcess:
    """A running worker.  Start it from a thread that outlives it: the kernel kills it with that thread."""

    def __init__(self, order: JobOrder, command: Sequence[str] = WORKER_COMMAND) -> None:
        """Start it.  Raises ``OSError`` when the host has no room for another process."""
        self._pipe, write_end = os.pipe()
        try:
            with _in_memory(dump_order(order)) as stdin:
                arguments = [*command, "--messages", str(write_end), "--parent", str(os.getpid())]
                self._process = subprocess.Popen(
                    arguments, stdin=stdin, stdout=2, pass_fds=(write_end,), start_new_session=True
                )
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(write_end)
        os.set_blocking(self._pipe, False)
        self._buffer = b""
        self._ended = False

    @property
    def pid(self) -> int:
        """The worker's process id, which is its process group too."""
        return self._process.pid

    @property
    def at_end(self) -> bool:
        """Whether the worker (and all that inherited its pipe) closed it."""
        return self._ended

    def fileno(self) -> int:
        """Return the descriptor to wait on for messages."""
        return self._pipe

    def messages(self) -> list[Message]:
        """Return the messages that have arrived; never waits.  Raises :class:`WorkerProtocolError`."""
        self._fill()
        *lines, self._buffer = self._buffer.split(b"\n")
        try:
            return [load_message(line) for line in lines]
        except (ValueError, TypeError) as error:
            raise WorkerProtocolError(type(error).__name__) from None

    def _fill(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while not self._ended:
                data = os.read(self._pipe, _READ_SIZE)
                self._ended = not data
                self._buffer += data

    def exit_status(self) -> int | None:
        """Return the exit status, negative for a signal, or None while it runs.

        The process stays a zombie until :meth:`close`, so that its group cannot be another's.
        """
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        info = os.waitid(os.P_PID, self.pid, flags)
        if info is None:
            return None
        return info.si_status if info.si_code == os.CLD_EXITED else -info.si_status

    def terminate(self) -> None:
        """Ask the worker to end; it takes its helpers with it and what it wrote back."""
        # Not Popen.send_signal, which reaps a worker that has ended: see exit_status.
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)

    def kill_group(self) -> None:
        """Kill the worker and all its helpers; a group that is gone is no error."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Kill what is left of the group, reap the worker and close the pipe."""
        self.kill_group()
        self._process.wait()
        os.close(self._pipe)

    def abandon(self) -> None:
        """Close the pipe only: the process is killed but has not ended, and is reaped when it has."""
        os.close(self._pipe)


@contextlib.contextmanager
def _in_memory(data: bytes) -> Iterator[int]:
    """Offer ``data`` as a file that is on no disk.  Unlike a pipe it cannot block the writer."""
    descriptor = os.memfd_create("papi-backup-order", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(data)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)
