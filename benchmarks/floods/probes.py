# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The owners' calls, each sort in a thread of its own, and how long each waited."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

PATIENCE = 30.0
PAUSE_SECONDS = 0.2
KNOWN_ADDRESS = "127.200.0.1"
PASSWORD = "the password of the owner"  # noqa: S105 (of an agent that lives for half an hour)


@dataclass(frozen=True)
class Owners:
    """What the owners have: the socket, the port, a token and a session's cookie."""

    socket_path: Path
    port: int
    tls: ssl.SSLContext | None
    account: str
    visitor: str
    """An account whose session lasts: a login for each call would end the oldest of its own account."""

    token: str

    def over_socket(self) -> socket.socket:
        """Connect as root."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE)
        connection.connect(str(self.socket_path))
        return connection

    def over_tcp(self, address: str = "127.0.0.1") -> socket.socket:
        """Connect from an address."""
        connection = socket.socket()
        connection.settimeout(PATIENCE)
        connection.bind((address, 0))
        connection.connect(("127.0.0.1", self.port))
        return self.tls.wrap_socket(connection) if self.tls is not None else connection

    def log_in(self) -> str:
        """Return the cookie of a session that the password opens from the address where owners are."""
        fields = {"username": self.visitor, "password": PASSWORD}
        head, _answer = self.send(self.over_tcp(KNOWN_ADDRESS), "/papi/login.json", fields)
        return head.partition("PHPSESSID=")[2].partition(";")[0]

    @property
    def password(self) -> dict[str, str]:
        """The right one, and its name."""
        return {"username": self.account, "password": PASSWORD}

    def send(
        self, connection: socket.socket, path: str, fields: dict[str, str], cookie: str = ""
    ) -> tuple[str, dict[str, object]]:
        """Call, and return head and body of what is answered."""
        body = urlencode(fields)
        head = f"POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: PHPSESSID={cookie}\r\n"
        head += f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
        with closing(connection):
            connection.sendall(f"{head}{body}".encode())
            with connection.makefile("rb") as answer:
                found, _blank, content = answer.read().partition(b"\r\n\r\n")
        answered: dict[str, object] = json.loads(content)
        return found.decode(), answered


@dataclass
class Probe:
    """One sort of call; ``bound`` is how many seconds each may take."""

    name: str
    bound: float
    call: Callable[[], dict[str, object]]
    waits: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def poll(self, stop: threading.Event) -> None:
        """Call until asked to stop."""
        while not stop.is_set():
            began = time.monotonic()
            try:
                answered = self.call()
                if answered["success"] != 1:
                    self.failures.append(str(answered))
            except (OSError, ValueError, KeyError) as error:
                self.failures.append(repr(error))
            self.waits.append(time.monotonic() - began)
            stop.wait(PAUSE_SECONDS)

    @property
    def holds(self) -> bool:
        """Whether every call was answered in time, and as it should be."""
        return bool(self.waits) and not self.failures and max(self.waits) <= self.bound

    def line(self) -> str:
        """Return the figures of this sort."""
        waits = sorted(self.waits) or [0.0]
        p99 = waits[min(len(waits) - 1, int(len(waits) * 0.99))]
        return (
            f"{self.name:<34}{len(self.waits):>7} calls, {len(self.failures)} failed; waits: median"
            f" {waits[len(waits) // 2]:.3f} s, p99 {p99:.3f} s, most {waits[-1]:.3f} s (bar {self.bound:g} s)"
        )


def probes(owners: Owners, bound: float) -> list[Probe]:
    """Return the four sorts; the password's bar has a check of the password in it."""
    cookie = owners.log_in()
    jobs = "/papi/backup/job/list.json"
    key = {"key": "torture", "api_token": owners.token}
    return [
        Probe("root over the socket", bound, lambda: owners.send(owners.over_socket(), jobs, {})[1]),
        Probe("a token over TCP", bound, lambda: owners.send(owners.over_tcp(), jobs, key)[1]),
        Probe("a session over TCP", bound, lambda: owners.send(owners.over_tcp(), jobs, {}, cookie)[1]),
        Probe(
            "the password from a known address",
            2 * bound,
            lambda: owners.send(owners.over_tcp(KNOWN_ADDRESS), "/papi/login.json", owners.password)[1],
        ),
    ]
