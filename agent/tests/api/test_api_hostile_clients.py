# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that hold connections, send slowly, read nothing or guess do not stop the others."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from running_api import RunningApi, running_api

from papi_backup.api.request import Limits

LIST = "/papi/backup/storage/list"
PATIENT = 15.0
OPENAPI = b"GET /papi/backup/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n"


def hung_up(connection: socket.socket) -> bool:
    """Whether the other end is gone, once what it sent has been read."""
    try:
        while connection.recv(1 << 20):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def answered_quickly(api: RunningApi, calls: int = 10) -> None:
    """Others are served meanwhile, over the socket and the port."""
    for _unused in range(calls):
        for via in ("socket", "port"):
            started = time.monotonic()
            assert api.call("GET", "/papi/ping", via=via).data == "pong"
            assert time.monotonic() - started < PATIENT / 3
    assert api.get(LIST).data


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as connections:
        yield connections


def still_there(connection: socket.socket) -> bool:
    """Whether the other end has neither said anything nor hung up."""
    connection.setblocking(False)
    try:
        connection.recv(1)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def test_two_hundred_idle_connections_and_slow_senders_do_not_stop_others(
    tmp_path: Path, held: ExitStack
) -> None:
    # All of them shall be there from the first call to the last, however slow the host is.
    with running_api(tmp_path, limits=Limits(head_seconds=300, body_seconds=300)) as api:
        idle = [held.enter_context(api.tcp_socket()) for unused in range(200)]
        slow = [held.enter_context(api.tcp_socket()) for unused in range(20)]
        for number, connection in enumerate(slow):
            body = b"POST /papi/login HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n"
            connection.sendall(body if number % 2 else b"GET /papi/ping HT")
        stop, refused = threading.Event(), []

        def drip() -> None:
            while not stop.wait(0.05):
                try:
                    for connection in slow:
                        connection.sendall(b"x")
                except OSError as error:
                    refused.append(error)
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            answered_quickly(api)
        finally:
            stop.set()
            dripping.join()
        assert refused == []
        assert all(still_there(connection) for connection in [*idle, *slow])


def test_more_connections_than_a_listener_has_push_out_the_longest_quiet_ones(
    tmp_path: Path, held: ExitStack
) -> None:
    with running_api(tmp_path, limits=Limits(connections=10)) as api:
        cookie = api.login("admin")
        first = [held.enter_context(api.tcp_socket()) for unused in range(5)]
        halves = [held.enter_context(api.tcp_socket()) for unused in range(5)]
        for half in halves:
            half.sendall(b"POST /papi/login HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx")
        # Each call is a connection of its own.
        for _unused in range(5):
            assert api.call("GET", LIST, via="port", cookie=cookie).data
        crowd = [held.enter_context(api.tcp_socket()) for unused in range(10)]
        assert all(hung_up(connection) for connection in [*first, *halves])
        answered_quickly(api, 3)
        crowd[-1].sendall(b"GET /papi/ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert b"pong" in crowd[-1].makefile("rb").read()


def test_a_crowd_of_one_address_pushes_out_its_own_and_not_who_came_before(
    tmp_path: Path, held: ExitStack
) -> None:
    with running_api(tmp_path, limits=Limits(connections=30)) as api:

        def silent(address: str) -> socket.socket:
            connection = held.enter_context(socket.socket())
            connection.settimeout(PATIENT)
            connection.bind((address, 0))
            connection.connect(("127.0.0.1", api.server.tcp_port))
            return connection

        # Of the owner's, one is in the network that the crowd comes from.
        owners = [silent("127.3.0.1"), silent("127.3.0.1"), silent("127.7.0.2")]
        crowd = [silent("127.7.0.1") for _unused in range(100)]
        assert hung_up(crowd[0])
        for owner in owners:
            owner.sendall(b"GET /papi/ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert b"pong" in owner.makefile("rb").read()


def test_who_waits_for_an_answer_is_not_pushed_out(tmp_path: Path, held: ExitStack) -> None:
    with running_api(tmp_path, limits=Limits(connections=10)) as api:
        asked, release, answers = threading.Event(), threading.Event(), []

        def wait() -> None:
            asked.set()
            release.wait(PATIENT)

        api.world.queries.during_check = wait
        cookie = api.login("admin")
        fields = {"storage_name": "bucket"}
        waiting = threading.Thread(
            target=lambda: answers.append(
                api.call("GET", "storage/test", fields, via="port", cookie=cookie).data
            )
        )
        waiting.start()
        assert asked.wait(PATIENT)
        for _unused in range(25):
            held.enter_context(api.tcp_socket())
        assert api.call("GET", "/papi/ping", via="port").data == "pong"
        release.set()
        waiting.join(PATIENT)
        assert answers == ["success"]


def test_a_client_that_reads_nothing_of_its_answers_is_hung_up_on(tmp_path: Path, held: ExitStack) -> None:
    with running_api(tmp_path, limits=Limits(send_seconds=0.3)) as api:
        deaf = held.enter_context(socket.socket())
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(PATIENT)
        deaf.connect(("127.0.0.1", api.server.tcp_port))
        deadline = time.monotonic() + PATIENT
        with pytest.raises(OSError, match=r"reset|Broken pipe|timed out"):
            while time.monotonic() < deadline:
                deaf.sendall(OPENAPI)
                time.sleep(0.01)
        assert time.monotonic() < deadline
        answered_quickly(api, 2)


def test_a_client_that_reads_slowly_gets_its_whole_answer(tmp_path: Path, held: ExitStack) -> None:
    with running_api(tmp_path, limits=Limits(send_seconds=0.7)) as api:
        slow = held.enter_context(socket.socket())
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(PATIENT)
        slow.connect(("127.0.0.1", api.server.tcp_port))
        requests = 40
        for number in range(requests):
            last = b"Connection: close\r\n\r\n" if number == requests - 1 else b"\r\n"
            slow.sendall(OPENAPI.removesuffix(b"\r\n") + last)
        received = bytearray()
        started = time.monotonic()
        while chunk := slow.recv(1 << 17):
            received += chunk
            if time.monotonic() < started + 2:
                time.sleep(0.02)
        assert received.count(b"HTTP/1.1 200 ") == requests
        assert time.monotonic() - started > 1


def test_many_who_guess_at_once_do_not_stop_others(api: RunningApi) -> None:
    stop = threading.Event()
    codes: set[object] = set()

    def guess(number: int) -> None:
        while not stop.is_set():
            fields = {"username": f"name{number}", "password": "guess"}
            codes.add(api.call("POST", "/papi/login", fields, via="port").error[0])

    guessing = [threading.Thread(target=guess, args=(number,)) for number in range(30)]
    for thread in guessing:
        thread.start()
    try:
        answered_quickly(api, 5)
    finally:
        stop.set()
        for thread in guessing:
            thread.join(PATIENT)
    # The address is slowed down as a whole, whatever names it tries.
    assert codes == {3004, 3014}
