# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The starters of real servers: as commands they say their port and are gone after TERM."""

from __future__ import annotations

import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from realparts.line import Line, Stalls
from realparts.process import accepts_connections, descendants, is_running
from realparts.proxy import Proxy
from realparts.pytest_fixtures import SshServer
from realparts.s3cluster import S3Cluster
from realparts.s3request import signed_request
from realparts.s3server import S3Server

STARTERS = Path(__file__).parents[3] / "tests"


def start(module: str, *arguments: str, port_file: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", f"realparts.{module}", *arguments, "--port-file", str(port_file)],
        env=os.environ | {"PYTHONPATH": str(STARTERS)},
    )
    deadline = time.monotonic() + 60
    while not port_file.exists():
        assert process.poll() is None, f"{module} ended at once"
        assert time.monotonic() < deadline, f"{module} did not get ready"
        time.sleep(0.05)
    return process


@pytest.mark.slow
@pytest.mark.parametrize("module", ["sshd", "s3server"])
def test_a_starter_run_as_a_command_leaves_no_process_behind(module: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a secret key\n")
    extra = ["--secret-key-file", str(secret), "--bucket", "bucket"] if module == "s3server" else []
    process = start(module, str(tmp_path / "server"), *extra, port_file=tmp_path / "port")
    port = int((tmp_path / "port").read_text())
    family = descendants(process.pid)
    assert family
    assert accepts_connections(port)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(30) == 0
    assert not accepts_connections(port)
    assert not [pid for pid in family if is_running(pid)]
    assert not (tmp_path / "port").exists()


def test_a_session_that_is_open_ends_with_its_server(tmp_path: Path) -> None:
    process = start("sshd", str(tmp_path / "server"), port_file=tmp_path / "port")
    with socket.create_connection(("127.0.0.1", int((tmp_path / "port").read_text()))) as client:
        client.recv(64)
        family = descendants(process.pid)
        assert len(family) > 1, "sshd forks a process for each connection"
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(30) == 0
    assert not [pid for pid in family if is_running(pid)]


def test_secret_keys_lie_in_a_file_of_the_owner_alone(s3_server: S3Server) -> None:
    assert (s3_server.directory / "s3.json").stat().st_mode & 0o777 == 0o600


def test_a_proxy_passes_bytes_and_cuts_where_it_is_told(sshd_server: SshServer) -> None:
    with Proxy(sshd_server.sshd.port, cut_after=[4]) as proxy:
        with socket.create_connection(("127.0.0.1", proxy.port)) as client:
            assert client.recv(4) == b"SSH-"
            client.sendall(b"SSH-2.0")
            with pytest.raises(ConnectionResetError):
                while client.recv(4096):
                    pass
        assert proxy.cuts == 1


def test_a_line_gives_its_rate_each_way_and_nothing_while_it_stalls() -> None:
    now = [100.0]
    line = Line(1000, Stalls(every=10, length=2), clock=lambda: now[0])
    assert line.wait_for(3000, up=True) == pytest.approx(3, abs=0.1)
    assert line.wait_for(3000, up=True) == pytest.approx(6, abs=0.1)
    assert line.wait_for(3000, up=False) == pytest.approx(3, abs=0.1)
    now[0] += 10.5
    assert line.wait_for(1000, up=True) == pytest.approx(2.5, abs=0.1)
    now[0] += 25
    assert line.wait_for(1000, up=True) == pytest.approx(1, abs=0.1)


def test_a_proxy_cuts_every_connection_when_all_have_sent_enough(sshd_server: SshServer) -> None:
    with Proxy(sshd_server.sshd.port, cut_all_after=[6]) as proxy:
        clients = [socket.create_connection(("127.0.0.1", proxy.port)) for _number in range(2)]
        for client in clients:
            assert client.recv(4) == b"SSH-"
            client.sendall(b"SSH")
        for client in clients:
            with client, pytest.raises(ConnectionResetError):
                while client.recv(4096):
                    pass
        assert (proxy.cuts, proxy.sent) == (1, 6)


@contextmanager
def greeter() -> Iterator[int]:
    """Listen on a port; greet whoever comes with four bytes, then say what he says."""

    class Greeting(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"SSH-")
            while said := self.request.recv(64):
                self.request.sendall(said)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Greeting) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_a_proxy_that_ends_connections_ends_them_as_a_server_does() -> None:
    with (
        greeter() as port,
        Proxy(port) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port)) as client,
    ):
        assert client.recv(4) == b"SSH-"
        assert proxy.end() == 2
        assert client.recv(4096) == b""


def test_a_proxy_that_refuses_leaves_what_is_open_and_takes_new_ones_again() -> None:
    with greeter() as port, Proxy(port) as proxy:
        for _again in range(3):
            with socket.create_connection(("127.0.0.1", proxy.port)) as client:
                assert client.recv(4) == b"SSH-"
                proxy.refuse()
                proxy.refuse()
                assert not accepts_connections(proxy.port)
                client.sendall(b"still here")
                assert client.recv(64) == b"still here"
                proxy.accept()
        assert accepts_connections(proxy.port)


def test_a_proxy_closes_what_has_ended_both_ways() -> None:
    with greeter() as port, Proxy(port) as proxy:
        before = len(os.listdir("/proc/self/fd"))
        for _again in range(20):
            with socket.create_connection(("127.0.0.1", proxy.port)) as client:
                client.sendall(b"hello")
                client.shutdown(socket.SHUT_WR)
                while client.recv(4096):
                    pass
        deadline = time.monotonic() + 10
        while len(os.listdir("/proc/self/fd")) > before + 4:
            assert time.monotonic() < deadline, "connections that are over are kept open"
            time.sleep(0.05)


@pytest.mark.slow
def test_a_cluster_goes_on_without_one_of_its_servers_and_takes_it_back(tmp_path: Path) -> None:
    with S3Cluster(tmp_path / "cluster") as cluster:
        cluster.make_bucket("bucket")
        keys = (cluster.access_key, cluster.secret_key)

        def ask(method: str, name: str, body: bytes = b"") -> tuple[int, bytes]:
            return signed_request(method, cluster.port, f"/bucket/{name}", keys, body)

        assert ask("PUT", "before", b"1" * 100_000)[0] == 200
        cluster.kill_one(1)
        assert not cluster.is_alive
        assert ask("GET", "before") == (200, b"1" * 100_000)
        deadline = time.monotonic() + 30
        while ask("PUT", "meanwhile", b"2" * 100_000)[0] != 200:
            assert time.monotonic() < deadline, "two servers are enough for two copies"
            time.sleep(0.2)
        cluster.bring_back(1)
        assert cluster.is_alive
        for name, content in (("before", b"1"), ("meanwhile", b"2")):
            assert ask("GET", name) == (200, content * 100_000)
