# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a proxy might take for another request than the agent does, and what costs much, is refused."""

from __future__ import annotations

import socket
import time

import pytest
from running_api import RunningApi

PING = b"GET /papi/ping HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /papi/ping HTTP/1.1\r\nHost: a\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"

REFUSED: dict[str, bytes] = {
    "a length and an encoding": POST + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "an encoding and a length": POST + CHUNKED + b"Content-Length: 0\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "two lengths in one line": POST + b"Content-Length: 1, 2\r\n\r\nab",
    "a length with a sign": POST + b"Content-Length: +1\r\n\r\na",
    "a length with a space before the colon": POST + b"Content-Length : 1\r\n\r\na",
    "an encoding in HTTP/1.0": POST.replace(b"1.1", b"1.0") + CHUNKED + b"\r\n0\r\n\r\n",
    "an encoding and another": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "two encodings": POST + CHUNKED + CHUNKED + b"\r\n0\r\n\r\n",
    "more header lines than any client sends": POST + b"a: b\r\n" * 300 + b"\r\n",
    "a body in single bytes": POST + CHUNKED + b"\r\n" + b"1\r\nx\r\n" * 300 + b"0\r\n\r\n",
}


def spoken(api: RunningApi, via: str, sent: bytes) -> bytes:
    """Return all that comes back until the agent hangs up."""
    with api.tcp_socket() if via == "port" else api.unix_socket() as connection:
        connection.sendall(sent)
        with connection.makefile("rb") as answer:
            return answer.read()


@pytest.mark.parametrize("via", ["port", "socket"])
@pytest.mark.parametrize("what", REFUSED)
def test_it_is_400_and_what_follows_is_not_read_as_a_request(
    unchanged_api: RunningApi, what: str, via: str
) -> None:
    answer = spoken(unchanged_api, via, REFUSED[what] + PING)
    assert answer.startswith(b"HTTP/1.1 400 "), answer
    assert answer.count(b"HTTP/1.1 ") == 1 and b"pong" not in answer


def test_equal_lengths_and_bodies_in_chunks_of_a_fair_size_are_taken(unchanged_api: RunningApi) -> None:
    last = PING.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    for body in (
        POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
        POST + CHUNKED + b"\r\n" + b"1\r\nx\r\n" * 60 + b"0\r\n\r\n",
        POST + CHUNKED + b"\r\n" + (b"200\r\n" + b"x" * 512 + b"\r\n") * 200 + b"0\r\n\r\n",
    ):
        assert spoken(unchanged_api, "port", body + last).count(b"pong") == 2


@pytest.mark.parametrize("via", ["port", "socket"])
def test_a_body_of_a_known_length_may_be_written_in_many_small_pieces(
    unchanged_api: RunningApi, via: str
) -> None:
    with unchanged_api.tcp_socket() if via == "port" else unchanged_api.unix_socket() as connection:
        if via == "port":
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(POST + b"Connection: close\r\nContent-Length: 300\r\n\r\n")
        for _unused in range(300):
            connection.sendall(b"x")
            time.sleep(0.001)
        with connection.makefile("rb") as answer:
            assert b"pong" in answer.read()


def test_a_head_of_up_to_64_kib_is_taken(unchanged_api: RunningApi) -> None:
    started = time.monotonic()
    target = "/papi/ping?" + "x=" + "y" * 60_000
    assert unchanged_api.send("GET", target, via="port").data == "pong"
    assert time.monotonic() - started < 10
