# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a starter as a command: write the port file once ready, stay until TERM, then clean up."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from realparts.process import ServerError


class Listening(Protocol):
    """What a running server tells."""

    @property
    def port(self) -> int:
        """The TCP port it listens on."""

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""


def write_port(path: Path, port: int) -> None:
    """Write ``port`` so that a reader sees the whole number or no file."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text(f"{port}\n")
    temporary.replace(path)


def serve(starter: AbstractContextManager[Listening], port_file: Path) -> int:
    """Run ``starter`` until TERM or INT; return the exit status (1 when the server fails or dies)."""
    told_to_stop = threading.Event()

    def stop(*details: object) -> None:
        del details
        told_to_stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    port_file.unlink(missing_ok=True)
    try:
        with starter as server:
            write_port(port_file, server.port)
            return _wait(told_to_stop, lambda: server.is_alive)
    except ServerError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        port_file.unlink(missing_ok=True)


def _wait(told_to_stop: threading.Event, is_alive: Callable[[], bool]) -> int:
    while not told_to_stop.wait(0.2):
        if not is_alive():
            sys.stderr.write("the server ended by itself\n")
            return 1
    return 0
