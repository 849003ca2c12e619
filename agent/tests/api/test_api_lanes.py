# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What strangers keep busy is theirs alone: owners are answered while all of it hangs."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from running_api import RunningApi, running_api

from papi_backup.api import raw_parameters
from papi_backup.api.lanes import THREADS, lane_of_stranger
from papi_backup.api.raw_parameters import raw_parameters as fields_of
from papi_backup.api.request import Limits, Request, head_of
from papi_backup.state import passwords
from papi_backup.state.database import StateError

JOBS = "/papi/backup/job/list"
STRANGERS = 60
SOON = 5.0
RIGHT = {"username": "admin", "password": "secret"}
FORM = "application/x-www-form-urlencoded"


class Hang:
    """Has calls of a function wait until they are let go."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self._go = threading.Event()
        self.entered = 0

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.entered += 1
        self._go.wait(30)
        return self._real(*arguments, **named)

    def release(self) -> None:
        self._go.set()


@contextmanager
def strangers(api: RunningApi, body: bytes, content_type: str = FORM) -> Iterator[None]:
    """Many who have sent a whole request over the port and wait for its answer."""
    head = f"POST /papi/login HTTP/1.1\r\nHost: a\r\nContent-Type: {content_type}\r\n"
    with ExitStack() as connections:
        for number in range(STRANGERS):
            stranger = connections.enter_context(socket.socket())
            stranger.bind((f"127.{number + 1}.0.1", 0))
            stranger.connect(("127.0.0.1", api.server.tcp_port))
            stranger.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        yield


def owners_are_answered(api: RunningApi, cookie: str, token: str) -> None:
    """Root over the socket, a session and a token over the port."""
    credentials = urlencode({"key": "ci", "api_token": token})
    for _unused in range(3):
        started = time.monotonic()
        assert api.get("job/list").data == []
        assert api.call("GET", JOBS, via="port", cookie=cookie).data == []
        assert api.send("POST", JOBS, credentials.encode(), via="port", content_type=FORM).data == []
        assert api.send("GET", f"{JOBS}?{credentials}", via="port").data == []
        assert time.monotonic() - started < SOON


@pytest.fixture
def owners(api: RunningApi) -> tuple[str, str]:
    return api.login("admin"), api.world.store.tokens.add("ci", "viewer")[1].reveal()


def test_owners_are_answered_while_every_check_of_a_strangers_password_hangs(
    api: RunningApi, owners: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hang = Hang(passwords.hashlib.scrypt)
    monkeypatch.setattr(passwords.hashlib, "scrypt", hang)
    try:
        with strangers(api, b"username=nobody&password=x"):
            while not hang.entered:
                time.sleep(0.01)
            owners_are_answered(api, *owners)
            assert hang.entered <= THREADS["password"]
    finally:
        hang.release()


def test_owners_are_answered_while_nobody_finds_out_who_any_stranger_is(
    api: RunningApi, owners: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The cookie's session is used for the first time here.
    hang = Hang(api.server._dispatcher.meet)
    monkeypatch.setattr(api.server._dispatcher, "meet", hang)
    large = {"key": "ci", "api_token": owners[1], "paths": json.dumps(["/a"] * 60_000)}
    try:
        with strangers(api, b"username=nobody&password=x"):
            while hang.entered < THREADS["stranger"]:
                time.sleep(0.01)
            owners_are_answered(api, *owners)
            assert hang.entered == THREADS["stranger"]
            assert api.call("POST", JOBS, large, via="port").data == []
            assert api.call("POST", JOBS, dict(reversed(large.items())), via="port").data == []
    finally:
        hang.release()


def test_a_refusal_is_told_while_nobody_finds_out_who_any_stranger_is(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, meet = Hang(passwords.hashlib.scrypt), Hang(api.server._dispatcher.meet)
    monkeypatch.setattr(passwords.hashlib, "scrypt", check)
    told: list[object] = []
    wrong = {"username": "admin", "password": "x"}
    refused = threading.Thread(
        target=lambda: told.append(api.call("POST", "/papi/login", wrong, via="port").error[0])
    )
    refused.start()
    try:
        while not check.entered:
            time.sleep(0.01)
        monkeypatch.setattr(api.server._dispatcher, "meet", meet)
        with strangers(api, b"username=nobody&password=x"):
            while meet.entered < THREADS["stranger"]:
                time.sleep(0.01)
            check.release()
            refused.join(SOON)
            assert told == [3004]
    finally:
        check.release()
        meet.release()
        refused.join()


@pytest.mark.parametrize("where", ["query", "body"])
def test_a_small_request_that_is_all_separators_does_not_rest_where_small_ones_wait(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def request_of(text: bytes) -> Request:
        query, body = (text, b"") if where == "query" else (b"", text)
        scope = {"type": "http", "method": "POST", "path": JOBS, "query_string": query, "headers": []}
        return Request(head_of(scope | {"scheme": "http", "client": ("127.0.0.1", 1)}), body)

    assert lane_of_stranger(request_of(b"a&" * 4000)) == "bulky"
    assert lane_of_stranger(request_of(b"a&" * 256 + b"a" * 7000)) == "stranger"
    rests: list[float] = []
    monkeypatch.setattr(raw_parameters.time, "sleep", rests.append)
    # As if the thread had computed for a second whenever anybody looks.
    computed = iter(range(1_000_000))
    monkeypatch.setattr(raw_parameters.time, "thread_time", lambda: float(next(computed)))
    for number in range(2):
        text = b"a&" * (256, 4000)[number]
        request = request_of(text)
        fields_of(request.head.query, "", request.body, ("username",))
        assert bool(rests) is bool(number)
    rests.clear()
    wide = json.dumps({f"a{number}": 1 for number in range(700)}).encode()
    assert lane_of_stranger(Request(request_of(b"").head, wide)) == "stranger"
    fields_of(b"", "", wide, ("username",))
    assert rests == []


@pytest.mark.parametrize(("what", "size"), [("verify", 0), ("verify", 100_000), ("identity_of", 100_000)])
def test_a_state_that_cannot_be_written_is_told_in_an_envelope(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch, what: str, size: int
) -> None:
    def full(*arguments: object) -> None:
        raise StateError("state.db: the disk is full")

    monkeypatch.setattr(api.world.services.access, what, full)
    fields = (RIGHT if what == "verify" else {}) | {"paths": "x" * size}
    reply = api.call("POST", JOBS, fields, via="port", cookie="PHPSESSID=x")
    assert reply.error == (3015, "state.db: the disk is full")


def test_owners_are_answered_while_the_parsing_of_all_large_requests_hangs(
    api: RunningApi, owners: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hang = Hang(raw_parameters.MultipartParser)
    monkeypatch.setattr(raw_parameters, "MultipartParser", hang)
    part = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n'
    try:
        with strangers(api, part * 100 + b"--b--\r\n", "multipart/form-data; boundary=b"):
            while not hang.entered:
                time.sleep(0.01)
            owners_are_answered(api, *owners)
            assert hang.entered == THREADS["bulky"]
            # Who waits is few; the others are told to come again.
            body = part * 100 + b"--b--\r\n"
            kind = "multipart/form-data; boundary=b"
            told = api.send("POST", JOBS, body, via="port", content_type=kind)
            assert told.error[0] == 3014
    finally:
        hang.release()


def test_root_has_password_checks_of_his_own(api: RunningApi, monkeypatch: pytest.MonkeyPatch) -> None:
    real = passwords.hashlib.scrypt
    hang = Hang(real)

    def only_strangers(password: bytes, **named: Any) -> bytes:
        answer: bytes = (hang if password == b"x" else real)(password, **named)
        return answer

    monkeypatch.setattr(passwords.hashlib, "scrypt", only_strangers)
    try:
        with strangers(api, b"username=nobody&password=x"):
            assert api.call("POST", "/papi/login", RIGHT).data == "true"
    finally:
        hang.release()


@pytest.mark.parametrize("credentials", [RIGHT, {"key": "ci"}], ids=["password", "token"])
def test_credentials_at_the_end_of_a_large_body_are_as_good_as_ever(
    api: RunningApi, owners: tuple[str, str], credentials: dict[str, str]
) -> None:
    secret = {"api_token": owners[1]} if "key" in credentials else {}
    fields = {"paths": json.dumps(["/a"] * 60_000), **credentials, **secret}
    size = len(urlencode(fields))
    assert (64 << 10) < size < (1 << 20)
    assert api.call("POST", JOBS, fields, via="port").data == []
    assert api.send("POST", JOBS, json.dumps(fields).encode(), via="port").data == []


def test_of_too_many_large_bodies_the_one_that_takes_longest_is_given_up(tmp_path: Path) -> None:
    with running_api(tmp_path, limits=Limits(large_bodies=3)) as api, ExitStack() as held:
        senders = [held.enter_context(api.tcp_socket()) for _unused in range(5)]
        for sender in senders:
            sender.sendall(b"POST /papi/login HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n")
            sender.sendall(b"a" * 100_000)
            time.sleep(0.1)
        for sender in senders[:2]:
            answer = sender.makefile("rb").read()
            assert b"log in first, or try again" in answer and b"onnection: close" in answer
        assert api.call("POST", JOBS, RIGHT | {"paths": "x" * 500_000}, via="port").data == []


def test_a_stranger_is_told_what_is_wrong_with_a_request_as_before(unchanged_api: RunningApi) -> None:
    for body, content_type, code in (
        (b"{", "application/json", 3005),
        (b"a=b&" * 20_001, FORM, 3005),
        (b"x" * (1 << 20) + b"x", FORM, 3005),
        (b"a=b", FORM, 3004),
        (b"username=&password=", FORM, 3004),
        (b'{"username": ["a"]}', "application/json", 3005),
    ):
        reply = unchanged_api.send("POST", JOBS, body, via="port", content_type=content_type)
        assert reply.error[0] == code, (body[:20], reply.error)
