# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real agent as a process of its own, with a service manager that listens."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

SECONDS = 20.0


def eventually(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {SECONDS} s: {what}"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    """Whether no such process runs; a zombie that its reaper has not met yet counts as gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


class ServiceManager:
    """The other end of sd_notify: hears everything, unless it is deaf."""

    def __init__(self, path: Path, deaf: bool = False) -> None:
        self.path = path
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        if not deaf:
            threading.Thread(target=self._listen, daemon=True).start()

    def hears(self, message: str) -> None:
        eventually(lambda: any(heard.startswith(message) for heard in self.heard), f"notified {message}")

    def _listen(self) -> None:
        while message := self._socket.recv(65536):
            self.heard.append(message.decode())

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class AgentProcess:
    """``papi-backup-agent`` on a configuration in ``directory``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.state = directory / "state"
        self.log = directory / "agent.log"
        self.config = directory / "agent.toml"
        self.manager = ServiceManager(directory / "notify")
        self.process: subprocess.Popen[bytes] | None = None
        self.configure()

    def configure(self, text: str = "", jobs: str = "drain_timeout = 1") -> None:
        self.config.write_text(
            text
            or f'state_dir = "{self.state}"\nhost_name = "host.example"\n[api]\n'
            f'socket = "{self.directory}/agent.sock"\n'
            f'[sources.default]\npaths = ["/etc/hostname"]\n[jobs]\n{jobs}\n'
        )

    def start(
        self,
        interpreter_options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        interpreter: str = sys.executable,
    ) -> None:
        command = [
            interpreter,
            *interpreter_options,
            "-m",
            "papi_backup.daemon",
            "--config",
            str(self.config),
        ]
        surroundings = {**os.environ, "NOTIFY_SOCKET": str(self.manager.path), **(environment or {})}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log, stdout=log, env=surroundings)

    def start_and_wait(self, environment: Mapping[str, str] | None = None) -> None:
        self.manager.heard.clear()
        self.start(environment=environment)
        self.manager.hears("READY=1")

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def ends(self) -> int:
        assert self.process is not None
        return self.process.wait(timeout=SECONDS)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        os.kill(self.pid, number)
        return self.ends()

    def ask(self, path: str, method: str = "GET", **parameters: str) -> dict[str, Any]:
        """Call the API over the unix socket and return the answer."""
        target = f"{path}?{urlencode(parameters)}"
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as client:
            client.settimeout(SECONDS)
            client.connect(f"{self.directory}/agent.sock")
            client.sendall(f"{method} {target} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n".encode())
            with client.makefile("rb") as answer:
                found: dict[str, Any] = json.loads(answer.read().partition(b"\r\n\r\n")[2])
        return found

    def children(self) -> list[int]:
        tasks = Path(f"/proc/{self.pid}/task")
        return [int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()]

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.manager.close()
