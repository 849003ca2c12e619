# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What strangers do.  Each kind is one thing that one of them does once, on connections of its own."""

from __future__ import annotations

import json
import random
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

FORM = "application/x-www-form-urlencoded"
MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Door:
    """Where the agent listens, and the account that strangers guess at."""

    port: int
    tls: ssl.SSLContext | None
    account: str

    def knock(self, chance: random.Random, *, handshake: bool = True) -> socket.socket:
        """Connect from an address of loopback."""
        stranger = socket.socket()
        try:
            stranger.settimeout(10)
            stranger.bind((address(chance), 0))
            stranger.connect(("127.0.0.1", self.port))
            if self.tls is not None and handshake:
                return self.tls.wrap_socket(stranger)
        except OSError:
            stranger.close()
            raise
        return stranger


def address(chance: random.Random) -> str:
    """Return one of sixteen million addresses, or one of a few of one network."""
    if chance.random() < 0.2:
        return f"127.7.0.{chance.randrange(1, 5)}"
    return f"127.{chance.randrange(1, 190)}.{chance.randrange(256)}.{chance.randrange(1, 255)}"


def request(body: bytes, kind: str = FORM, path: str = "/papi/backup/job/list.json") -> bytes:
    """Return a request that ends its connection."""
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: {kind}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def ask(door: Door, chance: random.Random, sent: bytes) -> None:
    """Send it and read the answer to its end."""
    with door.knock(chance) as stranger:
        stranger.sendall(sent)
        while stranger.recv(65536):
            pass


def wrong_login(door: Door, chance: random.Random) -> None:
    """Guess at names that do not exist."""
    ask(door, chance, request(f"username=u{chance.random()}&password=x".encode(), path="/papi/login"))


def guess(door: Door, chance: random.Random) -> None:
    """Guess at the owner's account."""
    ask(door, chance, request(f"username={door.account}&password={chance.random()}".encode()))


def multipart(door: Door, chance: random.Random) -> None:
    """Send many small parts."""
    part = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n'
    body = part * (chance.choice((1500, 60_000, MEBIBYTE)) // len(part)) + b"--b--\r\n"
    ask(door, chance, request(body, "multipart/form-data; boundary=b"))


def fields(door: Door, chance: random.Random) -> None:
    """Send 19,999 fields, or far more."""
    body = b"&".join(b"%%61%d=%%62" % number for number in range(chance.choice((500, 19_999, 90_000))))
    ask(door, chance, request(body[:MEBIBYTE]))


def separators(door: Door, chance: random.Random) -> None:
    """Send as many fields as a small body or a query holds."""
    many = chance.choice((b"a&", b"&", b"a=%41&")) * 4096
    query = b"GET /papi/backup/job/list?" + many[:8000] + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    ask(door, chance, request(many[:8100]) if chance.random() < 0.7 else query)


def large_form(door: Door, chance: random.Random) -> None:
    """Send a form of nearly a mebibyte, with credentials at its end."""
    ask(door, chance, request(b"paths=" + b"%2Fa" * 260_000 + b"&username=nobody&password=x"))


def deep_json(door: Door, chance: random.Random) -> None:
    """Send JSON that is deep, wide or full of numbers."""
    bodies = (
        b'{"a":' * 100_000,
        b"[" * 1_000_000,
        json.dumps({f"k{number}": number for number in range(50_000)}).encode(),
        json.dumps({"a": [[]] * 200_000}).encode(),
        b'{"a": ' + b"1" * 900_000 + b"}",
    )
    ask(door, chance, request(chance.choice(bodies)[:MEBIBYTE], "application/json"))


def too_large(door: Door, chance: random.Random) -> None:
    """Send without end."""
    with door.knock(chance) as stranger:
        stranger.sendall(b"POST /papi/login HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n")
        for _unused in range(100):
            stranger.sendall(b"x" * 262_144)


def crumbs(door: Door, chance: random.Random) -> None:
    """Send chunks of one byte."""
    with door.knock(chance) as stranger:
        stranger.sendall(b"POST /papi/login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _unused in range(20):
            stranger.sendall(b"1\r\nx\r\n" * 10_000)


def long_head(door: Door, chance: random.Random) -> None:
    """Send a long query, or many header lines."""
    query = b"&".join(b"a=%41" for _unused in range(9_000))
    lines = b"a: b\r\n" * chance.choice((150, 8_000))
    head = b"GET /papi/backup/job/list?" + query + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    ask(door, chance, head if chance.random() < 0.5 else b"GET /papi/ping HTTP/1.1\r\n" + lines + b"\r\n")


def pipeline(door: Door, chance: random.Random) -> None:
    """Send two hundred requests without waiting, with a cookie that was never given out."""
    one = b"GET /papi/backup/job/list HTTP/1.1\r\nHost: a\r\nCookie: PHPSESSID=%d\r\n\r\n"
    with door.knock(chance) as stranger:
        stranger.sendall(b"".join(one % number for number in range(200)))
        received = 0
        while received < 200 and (data := stranger.recv(65536)):
            received += data.count(b"HTTP/1.1 ")


def small(door: Door, chance: random.Random) -> None:
    """Send one small request after the other on one connection."""
    one = b"GET /papi/ping?key=a&api_token=b HTTP/1.1\r\nHost: a\r\n\r\n"
    with door.knock(chance) as stranger:
        for _unused in range(10):
            stranger.sendall(chance.choice((one, b"GET /papi/nothing HTTP/1.1\r\nHost: a\r\n\r\n")))
            if not stranger.recv(65536):
                return


def deaf(door: Door, chance: random.Random) -> None:
    """Ask for much and take nothing of it."""
    with door.knock(chance) as stranger:
        stranger.settimeout(2)
        for _unused in range(100):
            stranger.sendall(b"GET /papi/backup/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(2)


def slow_body(door: Door, chance: random.Random) -> None:
    """Send a body byte by byte."""
    with door.knock(chance) as stranger:
        stranger.sendall(b"POST /papi/login HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n")
        stranger.sendall(b"x" * chance.choice((1, 70_000)))
        for _unused in range(20):
            stranger.sendall(b"x")
            time.sleep(0.1)


def churn(door: Door, chance: random.Random) -> None:
    """Connect and hang up, again and again."""
    for _unused in range(50):
        door.knock(chance, handshake=False).close()


def silent(door: Door, chance: random.Random) -> None:
    """Connect and say nothing."""
    with door.knock(chance, handshake=False):
        time.sleep(chance.random() * 3)


def handshakes(door: Door, chance: random.Random) -> None:
    """Shake hands and leave; where there is no TLS, send what begins a handshake."""
    with door.knock(chance) as stranger:
        if door.tls is None:
            stranger.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500))
            stranger.recv(100)


KINDS: dict[str, Callable[[Door, random.Random], None]] = {
    kind.__name__: kind
    for kind in (
        wrong_login,
        guess,
        multipart,
        fields,
        separators,
        large_form,
        deep_json,
        too_large,
        crumbs,
        long_head,
        pipeline,
        small,
        deaf,
        slow_body,
        churn,
        silent,
        handshakes,
    )
}
