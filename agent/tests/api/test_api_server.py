# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server itself: sockets, bounds, hostile clients, crashes, stop."""

from __future__ import annotations

import datetime
import grp
import logging
import os
import socket
import stat
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from running_api import RunningApi, running_api

from papi_backup.api.gate import Entry, Gate, PasswordClaim, Source
from papi_backup.api.listeners import bind_tcp
from papi_backup.api.origins import AllowedOrigins, PageOrigin
from papi_backup.api.peers import Peer, TrustedPeers, peer_of
from papi_backup.api.request import Limits
from papi_backup.api.server import ApiServer
from papi_backup.config import ApiSettings
from papi_backup.model.account import Identity
from papi_backup.model.errors import InternalError, InvalidParameterError

LIST = "/papi/backup/storage/list"
PATIENT = 15.0


def read_all(connection: socket.socket) -> bytes:
    """Read until the server hangs up."""
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "agent.example")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, SHA256())
    )
    paths = tmp_path / "cert.pem", tmp_path / "key.pem"
    paths[0].write_bytes(made.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths


def test_the_socket_is_for_its_owner_and_its_group_and_goes_with_the_server(tmp_path: Path) -> None:
    group = grp.getgrgid(os.getegid()).gr_name
    with running_api(tmp_path, socket_group=group) as api:
        status = api.socket_path.stat()
        assert stat.S_ISSOCK(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o660
        assert status.st_gid == os.getegid()
    assert not api.socket_path.exists()


def test_a_socket_left_behind_is_replaced_and_one_in_use_is_not(tmp_path: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "agent.sock"))
    left.close()
    with running_api(tmp_path) as api:
        assert api.get(LIST).data
        second = ApiServer(api.world.settings, api.world.services, "i")
        with pytest.raises(InternalError, match="another process does"):
            second.start()
        assert api.get(LIST).data


def test_a_file_in_the_sockets_place_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "agent.sock").write_text("precious")
    with pytest.raises(InternalError, match="is no socket"), running_api(tmp_path):
        pass
    assert (tmp_path / "agent.sock").read_text() == "precious"


def test_a_port_that_is_taken_or_reachable_from_elsewhere_is_refused() -> None:
    with bind_tcp(ApiSettings(listen="127.0.0.1:0")) as taken:
        taken.listen()
        with pytest.raises(InternalError, match="in use"):
            bind_tcp(ApiSettings(listen=f"127.0.0.1:{taken.getsockname()[1]}"))
    with pytest.raises(InvalidParameterError, match="reachable from elsewhere"):
        bind_tcp(ApiSettings(listen="0.0.0.0:0"))


def test_an_unknown_group_is_refused_when_the_server_is_made(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="no group 'no-such-group'"):
        TrustedPeers("no-such-group")


def test_root_the_agents_user_and_the_groups_members_are_administrators() -> None:
    group = grp.getgrgid(os.getegid())
    trusted = TrustedPeers(group.gr_name)
    assert Peer(1, 0, frozenset()) in trusted
    assert Peer(1, os.geteuid(), frozenset()) in trusted
    assert Peer(1, 4242, frozenset((4242, group.gr_gid))) in trusted
    assert Peer(1, 4242, frozenset((4242,))) not in trusted
    assert Peer(1, 4242, frozenset((4242,))) not in TrustedPeers()


def test_the_kernel_tells_who_the_peer_is() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        peer = peer_of(ours)
        assert peer is not None
        assert (peer.pid, peer.uid) == (os.getpid(), os.getuid())
        assert peer.groups >= {os.getgid(), *os.getgroups()}
    with socket.socket(socket.AF_INET) as other:
        assert peer_of(other) is None


def test_an_untrusted_peer_needs_credentials_like_anybody(unchanged_api: RunningApi) -> None:
    gate = Gate(unchanged_api.world.services.access, TrustedPeers(), AllowedOrigins())
    stranger = Source("uid 4242", Peer(1, 4242, frozenset((4242,))), secure=False)
    assert gate.admit(Entry(), "", stranger, PageOrigin()).identity is None
    claim = gate.enter({"username": ["viewer"], "password": ["secret"]}, stranger)
    assert isinstance(claim, PasswordClaim)
    entry = gate.verify(claim)
    assert gate.admit(entry, "", stranger, PageOrigin()).identity == Identity("viewer", "viewer")


def test_over_tls_the_cookie_is_marked_secure(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    with running_api(tmp_path, tls=certificate) as api:
        credentials = {"username": "admin", "password": "secret"}
        reply = api.call("POST", "/papi/login", credentials, via="port")
        assert reply.data == "true"
        assert reply.headers["Set-Cookie"].endswith("; Secure")
        assert api.call("GET", LIST, via="port", cookie=reply.cookie).data
        over_socket = api.call("POST", "/papi/login", credentials)
        assert "Secure" not in over_socket.headers["Set-Cookie"]


def test_a_certificate_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("nothing")
    with (
        pytest.raises(InvalidParameterError, match=r"tls_certificate .*bad\.pem"),
        running_api(tmp_path, tls=(bad, bad)),
    ):
        pass


def test_a_body_of_up_to_one_mebibyte_is_taken_and_a_larger_one_told_so(unchanged_api: RunningApi) -> None:
    field = b"backup_name=system&filler="
    largest = field + b"x" * ((1 << 20) - len(field))
    assert unchanged_api.send("POST", "/papi/backup/backup-config/get", largest).data
    for surplus in (1, 1 << 20, 3 << 20):
        reply = unchanged_api.send("POST", "/papi/backup/backup-config/get", largest + b"x" * surplus)
        assert reply.error == (3005, "The request's body is larger than 1048576 bytes.")
        assert reply.headers["Connection"] == "close"


def test_a_chunked_body_has_the_same_bound(unchanged_api: RunningApi) -> None:
    connection = unchanged_api.connection()
    connection.request("POST", LIST, iter([b"x" * 65536] * 17), encode_chunked=True)
    assert b"larger than" in connection.getresponse().read()


def test_a_url_is_bounded(unchanged_api: RunningApi) -> None:
    assert unchanged_api.send("GET", f"{LIST}?{'x' * 30_000}").data
    with unchanged_api.unix_socket() as connection:
        connection.sendall(b"GET /?" + b"x" * 200_000)
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


def test_nonsense_instead_of_http_is_refused(unchanged_api: RunningApi) -> None:
    for data in (b"\x16\x03\x01\x00\xa5" * 10 + b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"):
        with unchanged_api.unix_socket() as connection:
            connection.sendall(data)
            assert read_all(connection).startswith(b"HTTP/1.1 400 ")


QUICK = Limits(head_seconds=0.4, body_seconds=0.4)


def test_a_client_that_is_slow_with_a_head_or_silent_is_hung_up_on(tmp_path: Path) -> None:
    with running_api(tmp_path, limits=QUICK) as api:
        silent, dripping, second = api.tcp_socket(), api.unix_socket(), api.tcp_socket()
        with silent, dripping, second:
            second.sendall(b"GET /papi/ping HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = b""
            while b"pong" not in answer:  # the answer may come in pieces
                answer += second.recv(4096)
            assert answer.startswith(b"HTTP/1.1 200 ")
            second.sendall(b"GET /papi/pi")
            started = time.monotonic()
            with pytest.raises(OSError, match=r"Broken pipe|reset"):
                while time.monotonic() < started + PATIENT:
                    dripping.sendall(b"G")
                    time.sleep(0.02)
            assert read_all(silent) == b""
            assert read_all(second) == b""


def test_a_client_that_is_slow_with_a_body_is_told_and_hung_up_on(tmp_path: Path) -> None:
    with running_api(tmp_path, limits=QUICK) as api, api.unix_socket() as connection:
        connection.sendall(f"POST {LIST} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc".encode())
        answer = read_all(connection)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"did not come within 0.4 s" in answer


def test_a_request_may_take_longer_than_its_arrival(tmp_path: Path) -> None:
    with running_api(tmp_path, limits=QUICK) as api:
        api.world.queries.during_check = lambda: time.sleep(1)
        assert api.get("storage/test", storage_name="bucket").data == "success"


def test_idle_and_slow_clients_do_not_keep_others_waiting(api: RunningApi) -> None:
    with ExitStack() as held:
        for number in range(200):
            connection = held.enter_context(api.unix_socket() if number % 2 else api.tcp_socket())
            if number % 4 == 0:
                connection.sendall(f"POST {LIST} HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\na".encode())
        started = time.monotonic()
        for _unused in range(10):
            assert api.get(LIST).data
        assert time.monotonic() - started < PATIENT / 3


def test_calls_that_wait_for_a_storage_do_not_keep_others_waiting(api: RunningApi) -> None:
    asked, release = threading.Semaphore(0), threading.Event()

    def hang() -> None:
        asked.release()
        release.wait(PATIENT)

    api.world.queries.during_check = hang
    waiting = [
        threading.Thread(target=api.get, args=("storage/test",), kwargs={"storage_name": "bucket"})
        for unused in range(20)
    ]
    for thread in waiting:
        thread.start()
    assert asked.acquire(timeout=PATIENT)
    assert api.get(LIST).data
    assert api.get("/papi/ping").data == "pong"
    release.set()
    for thread in waiting:
        thread.join(PATIENT)


def test_one_connection_serves_many_requests(unchanged_api: RunningApi) -> None:
    connection = unchanged_api.connection("port")
    for _unused in range(5):
        connection.request("POST", "/papi/ping", b"a=1")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b'{"success": 1, "data": "pong"}')


def test_pipelined_requests_are_answered_in_order(unchanged_api: RunningApi) -> None:
    with unchanged_api.unix_socket() as connection:
        ping = b"GET /papi/ping HTTP/1.1\r\nHost: a\r\n\r\n"
        last = b"GET /papi/ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        connection.sendall(ping + ping + last)
        assert read_all(connection).count(b'"pong"') == 3


def test_a_crash_is_a_500_with_an_envelope_a_log_and_no_details(
    api: RunningApi, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise AttributeError("planted")

    api.world.queries.during_check = fail
    reply = api.get("storage/test", storage_name="bucket")
    assert reply.status == 500
    assert reply.envelope == {
        "success": 0,
        "error_code": 3015,
        "error": "The agent failed; its log says more.",
    }
    assert "AttributeError" in caplog.text
    assert api.get(LIST).data


def test_the_log_names_the_change_and_its_caller_and_no_parameter(
    api: RunningApi, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    fields = {"backup_name": "n", "storage_id": 1, "encryption_key": "planted-1"}
    api.call("POST", "backup-config/add", fields | {"username": "admin", "password": "secret"}, via="port")
    api.call("POST", "/papi/login", {"username": "admin", "password": "planted-2"}, via="port")
    api.call("GET", "backup-config/list", {"api_token": "planted-3"})
    assert "add_backup_config by 'admin' from 127.0.0.1: success" in caplog.text
    assert "3004 AUTHENTICATION_ERROR" in caplog.text
    assert "planted" not in caplog.text and "'secret'" not in caplog.text


def test_answers_are_not_to_be_cached(unchanged_api: RunningApi) -> None:
    headers = unchanged_api.get(LIST).headers
    assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
    assert headers["Date"] and headers["Server"] is None


def test_a_request_under_way_is_answered_when_the_server_stops(tmp_path: Path) -> None:
    with running_api(tmp_path) as api:
        asked, answers = threading.Event(), []

        def slow() -> None:
            asked.set()
            time.sleep(0.5)

        def ask() -> None:
            answers.append(api.get("storage/test", storage_name="bucket").data)

        api.world.queries.during_check = slow
        thread = threading.Thread(target=ask)
        thread.start()
        assert asked.wait(PATIENT)
        api.server.stop(10)
        thread.join(PATIENT)
        assert answers == ["success"]
        with pytest.raises(OSError, match=r"No such file|refused"):
            api.unix_socket()


def test_a_stop_does_not_wait_for_ever(tmp_path: Path) -> None:
    release = threading.Event()
    with running_api(tmp_path) as api:
        asked = threading.Event()

        def hang() -> None:
            asked.set()
            release.wait(PATIENT)

        api.world.queries.during_check = hang
        connection = api.connection()
        connection.request("GET", "/papi/backup/storage/test?storage_name=bucket")
        idle = api.unix_socket()
        assert asked.wait(PATIENT)
        started = time.monotonic()
        api.server.stop(1)
        assert time.monotonic() - started < 5
        answer = connection.getresponse()
        assert (answer.status, b"The agent stops" in answer.read()) == (200, True)
        release.set()
        idle.close()


def test_the_heart_beats_while_the_loop_runs(tmp_path: Path) -> None:
    with running_api(tmp_path) as api:
        assert [beat.alive and beat.age < 6 for beat in api.server.heartbeats] == [True, True]


def test_a_server_with_a_socket_only_has_no_port(tmp_path: Path) -> None:
    with running_api(tmp_path) as api:
        path = tmp_path / "other" / "other.sock"
        settings = replace(api.world.settings, api=ApiSettings(path))
        server = ApiServer(settings, api.world.services, "i")
        server.start()
        assert (server.tcp_port, path.exists()) == (0, True)
        server.stop(1)
        server.stop(1)
        assert not path.exists()
