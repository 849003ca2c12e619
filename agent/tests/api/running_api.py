# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running API over a real store, and a plain HTTP client for it."""

from __future__ import annotations

import http.client
import json
import socket
import sqlite3
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from urllib.parse import urlencode
from xml.etree import ElementTree

from declared_answers import endpoint_of, undeclared
from fake_backends import World, create_world

from papi_backup.api.request import Limits
from papi_backup.api.server import ApiServer
from papi_backup.config import ApiSettings

SECONDS = 20.0
Fields = Mapping[str, object]


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: Message
    body: bytes

    @property
    def media_type(self) -> str:
        return self.headers.get_content_type()

    @property
    def is_json(self) -> bool:
        return self.media_type == "application/json"

    @property
    def envelope(self) -> dict[str, object]:
        """The JSON envelope."""
        assert self.is_json, self.body
        envelope = json.loads(self.body)
        assert isinstance(envelope, dict)
        return envelope

    @property
    def xml(self) -> ElementTree.Element:
        """The XML envelope."""
        assert self.media_type == "application/xml", self.body
        return ElementTree.fromstring(self.body)  # noqa: S314 (made by the agent under test)

    @property
    def data(self) -> object:
        """The data of a success."""
        assert self.status == 200
        assert self.envelope["success"] == 1, self.envelope
        return self.envelope["data"]

    @property
    def error(self) -> tuple[object, str]:
        """Code and text of a failure, which comes with HTTP 200."""
        assert self.status == 200
        assert self.envelope["success"] == 0, self.envelope
        return self.envelope["error_code"], str(self.envelope["error"])

    @property
    def cookie(self) -> str:
        """The session's cookie as a client sends it back, "" where none was set."""
        return (self.headers["Set-Cookie"] or "").partition(";")[0]


@dataclass
class RunningApi:
    """A server and its world."""

    world: World
    server: ApiServer
    socket_path: Path
    tls: bool = False
    connections: list[http.client.HTTPConnection] = field(default_factory=list)

    def connection(self, via: str = "socket") -> http.client.HTTPConnection:
        """Connect through the unix socket, or through the TCP "port"."""
        connection: http.client.HTTPConnection
        if via == "socket":
            connection = http.client.HTTPConnection("localhost", timeout=SECONDS)
            connection.sock = self.unix_socket()
        elif self.tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection = http.client.HTTPSConnection(
                "127.0.0.1", self.server.tcp_port, timeout=SECONDS, context=context
            )
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.server.tcp_port, timeout=SECONDS)
        self.connections.append(connection)
        return connection

    def whole_state(self) -> list[str]:
        """Every row of every table, as SQLite would write it down."""
        with closing(sqlite3.connect(self.world.settings.state_dir / "state.db")) as other:
            return list(other.iterdump())

    def unix_socket(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(SECONDS)
        connection.connect(str(self.socket_path))
        return connection

    def tcp_socket(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.server.tcp_port), timeout=SECONDS)

    def send(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        *,
        via: str = "socket",
        cookie: str = "",
        content_type: str = "",
    ) -> Reply:
        """Send one request as it is."""
        headers = {
            name: value for name, value in (("Cookie", cookie), ("Content-Type", content_type)) if value
        }
        connection = self.connection(via)
        connection.request(method, target, body, headers)
        answer = connection.getresponse()
        reply = Reply(answer.status, answer.headers, answer.read())
        connection.close()
        check_declared(method, target, reply)
        return reply

    def call(
        self, method: str, path: str, fields: Fields | None = None, *, via: str = "socket", cookie: str = ""
    ) -> Reply:
        """Call a method of the API the plain way: a query for GET, a form for POST."""
        encoded = urlencode(fields or {}, doseq=True)
        target = path if path.startswith("/") else f"/papi/backup/{path}"
        if method == "GET":
            return self.send("GET", f"{target}?{encoded}" if encoded else target, via=via, cookie=cookie)
        form = "application/x-www-form-urlencoded"
        return self.send(method, target, encoded.encode(), via=via, cookie=cookie, content_type=form)

    def get(self, path: str, **fields: object) -> Reply:
        """GET as root over the socket."""
        return self.call("GET", path, fields)

    def post(self, path: str, **fields: object) -> Reply:
        """POST as root over the socket."""
        return self.call("POST", path, fields)

    def login(self, name: str) -> str:
        """Log in through the port and return the cookie."""
        reply = self.call("POST", "/papi/login", {"username": name, "password": "secret"}, via="port")
        assert reply.data == "true"
        return reply.cookie


def check_declared(method: str, target: str, reply: Reply) -> None:
    """Whatever a test is about: an answer that the endpoint table does not declare fails it."""
    endpoint = endpoint_of(target)
    if endpoint is not None and method != "HEAD" and reply.status == 200 and reply.is_json:
        assert undeclared(endpoint, reply.envelope) == [], (method, target, reply.body)


@contextmanager
def running_api(
    directory: Path,
    *,
    limits: Limits | None = None,
    tls: tuple[Path, Path] | None = None,
    socket_group: str = "",
    allowed_origins: tuple[str, ...] = (),
) -> Iterator[RunningApi]:
    """Serve a fresh world on a socket and on a free port."""
    path = directory / "agent.sock"
    certificate, key = tls or (None, None)
    settings = ApiSettings(
        path, socket_group, "127.0.0.1:0", certificate, key, allowed_origins=allowed_origins
    )
    world = create_world(directory, settings)
    server = ApiServer(world.settings, world.services, world.store.instance_id, limits=limits)
    server.start()
    api = RunningApi(world, server, path, tls is not None)
    try:
        yield api
    finally:
        for connection in api.connections:
            connection.close()
        server.stop(5)
        world.store.close()
