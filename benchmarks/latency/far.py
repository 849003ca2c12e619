# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An SSH server at the other end of a line, which is new for each step: its stalls come at the same times."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.servers import CIPHERS, SftpServer

from realparts.process import ServerError, free_ports
from realparts.sshd import Sshd

_TESTS = Path(__file__).parents[2] / "tests"
_READY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class LineKind:
    """``delay`` (seconds) and ``rate`` (bytes a second) are each way; stalls are told in seconds."""

    delay: float
    rate: float
    stall_every: float
    stall_length: float


@dataclass(slots=True)
class Carried:
    """What a line has carried, in bytes, and how often it was cut; known once it has ended."""

    up: int = 0
    down: int = 0
    cuts: int = 0


class FarServer:
    """The server that tools are told of: at the line's near end."""

    def __init__(self, server: SftpServer, near: int, far: int, port_file: Path) -> None:
        self.server = server
        self._near = near
        self._far = far
        self._port_file = port_file

    @contextlib.contextmanager
    def line(self, kind: LineKind, cut_all_after: Sequence[int] = ()) -> Iterator[Carried]:
        """Lead a line to the server.  Raises :class:`ServerError`."""
        carried = Carried()
        command = [
            *(sys.executable, "-m", "realparts.proxy", str(self._far), "--port", str(self._near)),
            *("--port-file", str(self._port_file), "--delay", str(kind.delay), "--rate", str(kind.rate)),
            *("--stall-every", str(kind.stall_every), "--stall-length", str(kind.stall_length)),
            *("--cut-all-after", *map(str, cut_all_after)),
        ]
        self._port_file.unlink(missing_ok=True)
        environment = {**os.environ, "PYTHONPATH": str(_TESTS)}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            try:
                self._wait(process)
                yield carried
            finally:
                process.terminate()
                told = process.communicate()[0].split()
        carried.up, carried.down, carried.cuts = (int(word) for word in told if word.isdigit())

    def _wait(self, process: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not self._port_file.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise ServerError("the line did not come up")
            time.sleep(0.01)


@contextlib.contextmanager
def far_server(directory: Path) -> Iterator[FarServer]:
    """Run sshd.  Raises :class:`ServerError` when there is none."""
    directory.mkdir(parents=True)
    with Sshd(directory / "sshd", commands=True, ciphers=CIPHERS) as sshd:
        far, near = sshd.port, free_ports(1)[0]
        sshd.port = near  # what clients are told
        yield FarServer(SftpServer(directory, sshd), near, far, directory / "line-port")
