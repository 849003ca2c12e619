# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of one's own: started in their own group, and surely gone at the end."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

TERM_SECONDS = 10.0
"""How long a server may take to end after TERM before it gets KILL."""


class ServerError(RuntimeError):
    """A real server cannot be had; the message says what to install or shows the end of its log."""


def free_ports(count: int) -> list[int]:
    """Return ``count`` different TCP ports that are free on loopback now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for unused in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def descendants(pid: int) -> list[int]:
    """Return the ids of all processes below ``pid``, parents first (read from /proc)."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for parent in found:
        found.extend(children.get(parent, ()))
    return found[1:]


def is_running(pid: int) -> bool:
    """Whether the process exists and is more than an entry that waits for its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


class OwnedProcess:
    """A server process with a log file.  ``start`` and ``stop`` may be called again and again."""

    def __init__(self, command: Sequence[str], log: Path, directory: Path | None = None) -> None:
        self.command = list(command)
        self.log = log
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process' id; 0 when it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else 0

    def start(self) -> None:
        """Start the process in a session (and so a process group) of its own."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._directory,
                start_new_session=True,
            )
        atexit.register(self.stop)

    def wait_ready(self, is_ready: Callable[[], bool], seconds: float) -> None:
        """Return once ``is_ready()``; raises :class:`ServerError` with the log's end when it is not."""
        deadline = time.monotonic() + seconds
        while not is_ready():
            if not self.pid:
                raise ServerError(f"{self.command[0]} ended at once: {self.log_tail()}")
            if time.monotonic() > deadline:
                raise ServerError(f"{self.command[0]} not ready after {seconds:g} s: {self.log_tail()}")
            time.sleep(0.05)

    def log_tail(self, size: int = 1500) -> str:
        """Return the end of the log as text."""
        return self.log.read_bytes()[-size:].decode("utf-8", "replace")

    def stop(self) -> None:
        """TERM to the process, its group and what it forked into other sessions; KILL after 10 s."""
        atexit.unregister(self.stop)
        process, self._process = self._process, None
        if process is None:
            return
        family = [process.pid, *descendants(process.pid)]
        for sent in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, sent)
            for pid in filter(is_running, family):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, sent)
            deadline = time.monotonic() + TERM_SECONDS
            while time.monotonic() < deadline:
                process.poll()  # reaps it
                if not any(map(is_running, family)):
                    return
                time.sleep(0.02)


def accepts_connections(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether something listens on ``port``."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False
