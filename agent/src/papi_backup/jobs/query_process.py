# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's side of one query process: ask it, wait with a deadline, end it."""

from __future__ import annotations

import logging
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from papi_backup.memory_limit import MemoryWatch

log = logging.getLogger(__name__)

QUERY_COMMAND = (sys.executable, "-P", "-m", "papi_backup.jobs.query_worker")
_READ_SIZE = 1 << 16

REAP_SECONDS = 1.0
"""How long a killed process is waited for; one that the kernel holds in a call ends when that does."""


class NoAnswerInTimeError(Exception):
    """The deadline passed."""


class ProcessEndedError(Exception):
    """The process ended before it answered; ``status`` is negative for a signal."""

    def __init__(self, status: int, why: str = "") -> None:
        """``why``: words that go on from "the process", where more is known."""
        super().__init__(why or f"ended with status {status}")
        self.status = status


class QueryProcess:
    """One query process, used by one thread at a time."""

    def __init__(self, command: Sequence[str] = QUERY_COMMAND) -> None:
        """Start the process; raises :class:`OSError`."""
        its_input, self._questions = os.pipe()
        self._answers, its_output = os.pipe()
        try:
            self._process = subprocess.Popen(
                [*command, "--messages", str(its_output)],
                stdin=its_input,
                stdout=2,
                pass_fds=(its_output,),
                start_new_session=True,
            )
        except OSError:
            os.close(self._questions)
            os.close(self._answers)
            raise
        finally:
            os.close(its_input)
            os.close(its_output)
        self._memory = MemoryWatch()
        os.set_blocking(self._questions, False)
        os.set_blocking(self._answers, False)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def ask(self, line: bytes, deadline: float) -> bytes:
        """Send ``line`` and return the answer's line.

        ``deadline`` is on the clock of :func:`time.monotonic`.  Raises :class:`NoAnswerInTimeError`
        and :class:`ProcessEndedError`; the process is of no use after either.
        """
        try:
            self._send(memoryview(line), deadline)
        except BrokenPipeError:
            raise self._ended() from None
        return self._receive(deadline)

    def kill(self) -> None:
        """End the process; harmless when it is gone.  Safe from another thread."""
        self._process.kill()

    def close(self) -> None:
        """End the process, reap it and close the pipes.

        One that does not end in time is left to itself; :mod:`subprocess` reaps it when it starts others.
        """
        self.kill()
        try:
            self._process.wait(REAP_SECONDS)
        except subprocess.TimeoutExpired:
            log.error("query process %d was killed and does not end; it is abandoned", self.pid)
        os.close(self._questions)
        os.close(self._answers)

    def _status(self) -> int:
        """Return how a process that hung up has ended; one that has not is killed."""
        try:
            return self._process.wait(REAP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL

    def _send(self, rest: memoryview, deadline: float) -> None:
        while rest:
            self._wait_for(self._questions, selectors.EVENT_WRITE, deadline)
            rest = rest[os.write(self._questions, rest) :]

    def _ended(self) -> ProcessEndedError:
        status = self._status()
        return ProcessEndedError(status, self._memory.why(status))

    def _receive(self, deadline: float) -> bytes:
        answer = bytearray()
        while not answer.endswith(b"\n"):
            self._wait_for(self._answers, selectors.EVENT_READ, deadline)
            data = os.read(self._answers, _READ_SIZE)
            if not data:
                raise self._ended()
            answer += data
        return bytes(answer)

    def _wait_for(self, descriptor: int, event: int, deadline: float) -> None:
        with selectors.PollSelector() as selector:
            selector.register(descriptor, event)
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise NoAnswerInTimeError
