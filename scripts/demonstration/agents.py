# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agents of the demonstration: started by hand in the foreground, each with a state of its own."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from types import TracebackType

from demonstration.layout import DemoError, Layout
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


class DemoAgent:
    """A running agent; a context manager."""

    def __init__(self, layout: Layout, name: str, host_name: str) -> None:
        self.name = name
        self.host_name = host_name
        self.directory = layout.root / name
        self._log = layout.logs / f"{name}.log"
        self._process: OwnedProcess | None = None
        self._short_directory: Path | None = None
        self.socket = self.directory / "agent.sock"
        self.port = 0

    def __enter__(self) -> DemoAgent:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def log_tail(self) -> str:
        """Return the end of the agent's log."""
        return self._log.read_text(errors="replace")[-2000:] if self._log.exists() else ""

    def _start(self) -> None:
        state = self.directory / "state"
        state.mkdir(parents=True, mode=0o700)
        if len(bytes(self.socket)) > LONGEST_SOCKET_PATH:
            self._short_directory = Path(tempfile.mkdtemp(prefix="papi-demo-"))
            self.socket = self._short_directory / "agent.sock"
        self.port = free_ports(1)[0]
        configuration = self.directory / "agent.toml"
        configuration.write_text(
            _CONFIGURATION.format(
                state=json.dumps(str(state)),
                host_name=self.host_name,
                socket=json.dumps(str(self.socket)),
                port=self.port,
            )
        )
        command = [str(Path(sys.executable).parent / "papi-backup-agent"), "--config", str(configuration)]
        self._process = OwnedProcess(command, self._log, self.directory)
        try:
            self._process.start()
            self._process.wait_ready(self._answers, READY_SECONDS)
        except (ServerError, OSError) as error:
            raise DemoError(f"the agent of {self.host_name} does not answer: {error}") from error

    def _answers(self) -> bool:
        return all(_pings(connection) for connection in (_UnixConnection(self.socket), self._loopback()))

    def _loopback(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)

    def _stop(self) -> None:
        if self._process is not None:
            self._process.stop()
        if self._short_directory is not None:
            shutil.rmtree(self._short_directory, ignore_errors=True)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=2)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(2)
        self.sock.connect(str(self._path))


def _pings(connection: http.client.HTTPConnection) -> bool:
    try:
        connection.request("GET", "/papi/ping")
        return b"pong" in connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
