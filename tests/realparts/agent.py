# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real agent in the foreground, with a state of its own.

Everything lies in the given directory: ``agent.toml``, ``state/``, ``agent.sock``, ``agent.log``.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from typing import Self

from realparts.process import OwnedProcess, ServerError, free_ports

READY_SECONDS = 30.0
LONGEST_SOCKET_PATH = 100

_CONFIGURATION = """\
state_dir = {state}
host_name = "{host_name}"

[api]
socket = {socket}
listen = "127.0.0.1:{port}"
"""


def find_agent_command(name: str = "papi-backup-agent") -> str:
    """Return the path of a command of the agent; raises :class:`ServerError` when it is not installed."""
    beside = Path(sys.executable).parent
    found = shutil.which(name, path=f"{beside}:{os.environ.get('PATH', os.defpath)}")
    if not found:
        raise ServerError(f"no {name} on this machine: make setup installs it into .cache/venv")
    return found


class Agent:
    """A running agent; a context manager."""

    def __init__(self, directory: Path, host_name: str, log: Path | None = None) -> None:
        self.directory = Path(directory).absolute()
        self.host_name = host_name
        self.log = log or self.directory / "agent.log"
        self.configuration = self.directory / "agent.toml"
        self.socket = self.directory / "agent.sock"
        self.port = 0
        self._process: OwnedProcess | None = None
        self._short_directory: Path | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *unused_details: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The agent's process id; 0 when it does not run."""
        return self._process.pid if self._process is not None else 0

    @property
    def is_alive(self) -> bool:
        """Whether the agent's process runs."""
        return self.pid != 0

    def start(self) -> None:
        """Write the configuration, start, and wait until both listeners answer."""
        state = self.directory / "state"
        state.mkdir(parents=True, mode=0o700, exist_ok=True)
        if len(bytes(self.socket)) > LONGEST_SOCKET_PATH:
            self._short_directory = Path(tempfile.mkdtemp(prefix="papi-agent-"))
            self.socket = self._short_directory / "agent.sock"
        self.port = free_ports(1)[0]
        self.configuration.write_text(
            _CONFIGURATION.format(
                state=json.dumps(str(state)),
                host_name=self.host_name,
                socket=json.dumps(str(self.socket)),
                port=self.port,
            )
        )
        command = [find_agent_command(), "--config", str(self.configuration)]
        self._process = OwnedProcess(command, self.log, self.directory)
        self._process.start()
        self._process.wait_ready(self._answers, READY_SECONDS)

    def stop(self) -> None:
        """End the agent and what it has started."""
        if self._process is not None:
            self._process.stop()
        if self._short_directory is not None:
            shutil.rmtree(self._short_directory, ignore_errors=True)

    def _answers(self) -> bool:
        loopback = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        return all(_pings(connection) for connection in (UnixConnection(self.socket), loopback))


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket; ``timeout`` in seconds."""

    def __init__(self, path: Path, timeout: float = 2.0) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _pings(connection: http.client.HTTPConnection) -> bool:
    try:
        connection.request("GET", "/papi/ping")
        return b"pong" in connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
