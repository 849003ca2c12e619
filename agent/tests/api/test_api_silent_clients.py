# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that connect to the TLS port and say nothing, or no TLS, are bounded like all others."""

from __future__ import annotations

import logging
import os
import resource
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from fake_backends import create_world
from running_api import RunningApi

from papi_backup.api.request import Limits
from papi_backup.api.server import ApiServer
from papi_backup.config import ApiSettings

PROMPT = 3.0
CROWD = 500


@contextmanager
def over_tls(directory: Path, limits: Limits | None = None) -> Iterator[RunningApi]:
    path = directory / "agent.sock"
    world = create_world(directory, ApiSettings(path, listen="127.0.0.1:0", tls_self_made=True))
    server = ApiServer(world.settings, world.services, world.store.instance_id, limits=limits)
    server.start()
    api = RunningApi(world, server, path, tls=True)
    try:
        yield api
    finally:
        for connection in api.connections:
            connection.close()
        server.stop(5)
        world.store.close()


@contextmanager
def descriptors(soft: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def answers_promptly(api: RunningApi) -> None:
    for via in ("socket", "port"):
        started = time.monotonic()
        assert api.call("GET", "/papi/ping", via=via).data == "pong"
        assert time.monotonic() - started < PROMPT, via


def _inodes(port: int) -> set[str]:
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ours = f"0100007F:{port:04X}"
    # One that was closed here has no inode any more while its other end is told of it.
    held = {row[9] for row in rows if row[1] == ours and row[2] != "00000000:0000"} - {"0"}
    return {f"socket:[{inode}]" for inode in held}


def connect(api: RunningApi, held: ExitStack, count: int) -> list[socket.socket]:
    return [held.enter_context(api.tcp_socket()) for unused in range(count)]


def eventually_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def test_five_hundred_that_say_nothing_are_bounded_and_stop_nobody(tmp_path: Path) -> None:
    limits = Limits(connections=40)
    with over_tls(tmp_path, limits) as api, ExitStack() as held:
        crowd = connect(api, held, CROWD)
        answers_promptly(api)
        assert all(eventually_closed(silent) for silent in crowd[: CROWD - limits.connections])
        assert len(_inodes(api.server.tcp_port)) <= limits.connections
        answers_promptly(api)


def test_who_has_not_come_through_the_handshake_in_time_is_hung_up_on(tmp_path: Path) -> None:
    with over_tls(tmp_path, Limits(handshake_seconds=0.3)) as api, ExitStack() as held:
        started = time.monotonic()
        assert eventually_closed(*connect(api, held, 1))
        assert 0.2 < time.monotonic() - started < 3
        answers_promptly(api)


def test_who_speaks_no_tls_or_hangs_up_gives_the_place_back(tmp_path: Path) -> None:
    with over_tls(tmp_path, Limits(connections=3)) as api, ExitStack() as held:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        (plain,) = connect(api, held, 1)
        guest = held.enter_context(context.wrap_socket(plain, server_hostname="localhost"))
        for _unused in range(5):
            with api.tcp_socket() as wrong:
                wrong.sendall(b"GET /papi/ping HTTP/1.1\r\nHost: a\r\n\r\n")
                wrong.recv(100)  # an alert, or the end
            with api.tcp_socket():
                pass
        # Ten came and went beside it, and none of them is there any more: it was not pushed out.
        guest.sendall(b"GET /papi/ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert b"pong" in guest.makefile("rb").read()


def test_where_descriptors_run_out_it_is_said_once_and_others_are_served_when_there_are_some(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with over_tls(tmp_path) as api, caplog.at_level(logging.DEBUG):
        open_now = len(os.listdir("/proc/self/fd"))
        with ExitStack() as held:
            waiting = [held.enter_context(socket.socket()) for unused in range(20)]
            with descriptors(open_now + 22):
                for client in waiting:
                    client.connect(("127.0.0.1", api.server.tcp_port))
                time.sleep(1.5)
        answers_promptly(api)
    told = [record.message for record in caplog.records if "cannot accept" in record.message]
    assert told == ["cannot accept connections: Too many open files; trying again every second"]
    assert len(caplog.records) < 100
