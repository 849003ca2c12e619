# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets in at a real agent while the operator's command changes it, and what happens while it stops."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from agent_process import SECONDS, AgentProcess, eventually

from papi_backup.state.store import Store

REFUSED = (0, 3004)


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port: int = server.getsockname()[1]
        return port


def listen(daemon: AgentProcess, api: str) -> None:
    daemon.configure(
        f'state_dir = "{daemon.state}"\nhost_name = "host.example"\n'
        f'[api]\nsocket = "{daemon.directory}/agent.sock"\n{api}\n'
    )


def command(daemon: AgentProcess, *arguments: str, password: str = "") -> str:
    """Run the operator's command as a process of its own, beside the running agent."""
    done = subprocess.run(
        [sys.executable, "-m", "papi_backup.cli", "--config", str(daemon.config), *arguments],
        input=password,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.rstrip("\n")


def call(port: int, cookie: str = "", authority: str = "", **fields: str) -> tuple[tuple[int, int], str]:
    """List the storages; returns (success, error_code) and the cookie that was set."""
    connection: http.client.HTTPConnection
    if authority:
        context = ssl.create_default_context(cadata=authority)
        connection = http.client.HTTPSConnection("localhost", port, timeout=SECONDS, context=context)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    with closing(connection):
        headers = {"Cookie": cookie} if cookie else {}
        connection.request("POST", "/papi/backup/storage/list", urlencode(fields), headers)
        answer = connection.getresponse()
        envelope: dict[str, Any] = json.loads(answer.read())
        set_cookie = (answer.headers["Set-Cookie"] or "").partition(";")[0]
    return (envelope["success"], envelope.get("error_code", 0)), set_cookie


def test_a_running_agent_takes_a_token_as_soon_as_it_is_made_and_refuses_it_once_it_is_revoked(
    daemon: AgentProcess,
) -> None:
    port = free_port()
    listen(daemon, f'listen = "127.0.0.1:{port}"')
    daemon.start_and_wait()
    value = command(daemon, "token", "add", "ci", "--role", "viewer")
    answer, cookie = call(port, key="ci", api_token=value)
    assert answer == (1, 0) and cookie
    assert call(port, cookie)[0] == (1, 0)
    command(daemon, "token", "revoke", "ci")
    assert call(port, key="ci", api_token=value)[0] == REFUSED
    assert call(port, cookie)[0] == REFUSED
    assert value not in daemon.log.read_text()
    assert daemon.stop() == 0


def test_a_running_agent_forgets_an_account_and_its_sessions_with_the_command(daemon: AgentProcess) -> None:
    port = free_port()
    listen(daemon, f'listen = "127.0.0.1:{port}"')
    daemon.start_and_wait()
    add = ("account", "add", "anna", "--role", "administrator", "--password-file", "-")
    command(daemon, *add, password="first")
    answer, cookie = call(port, username="anna", password="first")
    assert answer == (1, 0)
    command(daemon, "account", "set-password", "anna", "--password-file", "-", password="second")
    assert call(port, cookie)[0] == REFUSED
    assert call(port, username="anna", password="first")[0] == REFUSED
    answer, cookie = call(port, username="anna", password="second")
    assert answer == (1, 0)
    command(daemon, "account", "remove", "anna")
    assert call(port, cookie)[0] == REFUSED
    assert call(port, username="anna", password="second")[0] == REFUSED


def test_an_agent_off_loopback_without_tls_does_not_start_and_says_what_to_do(daemon: AgentProcess) -> None:
    listen(daemon, 'listen = "0.0.0.0:8480"')
    daemon.start()
    assert daemon.ends() == 2
    (line,) = daemon.log.read_text().splitlines()
    assert "reachable from elsewhere and needs TLS: give tls_certificate and tls_key" in line
    assert 'tls = "self-made"' in line and str(daemon.config) in line
    assert not daemon.state.exists()


def test_an_agent_on_all_addresses_with_a_self_made_certificate_is_trusted_by_its_authority(
    daemon: AgentProcess,
) -> None:
    port = free_port()
    listen(daemon, f'listen = "0.0.0.0:{port}"\ntls = "self-made"')
    authority = command(daemon, "tls", "authority") + "\n"
    value = command(daemon, "token", "add", "ci", "--role", "administrator")
    daemon.start_and_wait()
    assert call(port, authority=authority, key="ci", api_token=value)[0] == (1, 0)
    assert daemon.stop() == 0
    daemon.start_and_wait()
    assert call(port, authority=authority, key="ci", api_token=value)[0] == (1, 0)


class Adder(threading.Thread):
    """Adds storages one after the other until nobody answers any more, and remembers what it was told."""

    def __init__(self, path: Path, name: str) -> None:
        super().__init__()
        self._path, self._name = path, name
        self.done: list[str] = []
        self.refused: list[str] = []
        self.unanswered: list[str] = []

    def run(self) -> None:
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as plain:
            plain.settimeout(SECONDS)
            plain.connect(str(self._path))
            connection = http.client.HTTPConnection("localhost")
            connection.sock = plain
            while not self.refused and not self.unanswered:
                self._add(connection, f"{self._name}-{len(self.done)}")

    def _add(self, connection: http.client.HTTPConnection, name: str) -> None:
        s3 = {"aws_key_id": "i", "aws_secret_key": "s", "bucket_name": "bucket", "file_size": "1"}
        try:
            connection.auto_open = 0
            connection.request("POST", "/papi/backup/storage/s3/add", urlencode({"storage_name": name} | s3))
            envelope = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException):
            self.unanswered.append(name)
            return
        (self.done if envelope["success"] else self.refused).append(name)


@pytest.mark.parametrize("round_", range(3))
def test_a_request_that_arrives_while_the_agent_stops_is_answered_or_not_done(
    daemon: AgentProcess, round_: int
) -> None:
    daemon.start_and_wait()
    adders = [Adder(daemon.directory / "agent.sock", f"r{round_}-a{number}") for number in range(8)]
    for adder in adders:
        adder.start()
    eventually(lambda: all(len(adder.done) > 3 for adder in adders), "all are at work")
    time.sleep(0.01 * round_)
    os.kill(daemon.pid, signal.SIGTERM)
    assert daemon.ends() == 0
    for adder in adders:
        adder.join(SECONDS)
    with Store.open(daemon.state) as store:
        stored = {storage.storage_name for storage in store.storages.list()}
    # Each that was told is there; each that was not is not: nobody has to guess.
    assert stored == {name for adder in adders for name in adder.done}
    assert sum(len(adder.unanswered) + len(adder.refused) for adder in adders) == len(adders)


def test_a_body_that_is_still_under_way_when_the_agent_stops_is_refused_and_nothing_is_done(
    daemon: AgentProcess,
) -> None:
    daemon.start_and_wait()
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as client:
        client.settimeout(SECONDS)
        client.connect(f"{daemon.directory}/agent.sock")
        client.sendall(
            b"POST /papi/backup/ssh-id/new HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\nkey_name=half"
        )
        time.sleep(0.2)
        os.kill(daemon.pid, signal.SIGTERM)
        with client.makefile("rb") as answer:
            head, _unused, body = answer.read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    envelope = json.loads(body)
    assert envelope["error_code"] == 3015
    assert (
        envelope["error"] == "The agent stops and did not wait for the end of this request; nothing was done."
    )
    assert daemon.ends() == 0
    with Store.open(daemon.state) as store:
        assert store.ssh_ids.list() == []
