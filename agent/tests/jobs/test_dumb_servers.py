# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of storages whose servers fall silent, at whatever point: answered within five seconds, by step."""

from __future__ import annotations

import dataclasses
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest
from realparts.proxy import Proxy
from realparts.pytest_fixtures import SshServer
from realparts.s3server import S3Server

from papi_backup.engine.storage.check import check_storage
from papi_backup.engine.storage.opener import hasty
from papi_backup.jobs.query_helper import QueryHelper
from papi_backup.model.errors import InvalidStorageError, PapiError
from papi_backup.model.job import BackupOrder
from papi_backup.model.schedule import SourceSet
from papi_backup.model.secret import Secret
from papi_backup.model.storage import StorageAccess

pytestmark = pytest.mark.slow

SECONDS = 5.0
STEPS = ("reach", "login", "write", "rename", "read back", "create-only", "list", "clock", "delete", "room")
OF_BACKUPS = ("sources", *STEPS, "key")
Through = Callable[[int], StorageAccess]
POINTS = 6


@pytest.fixture
def helper() -> Iterator[QueryHelper]:
    """A cold one: its process has yet to start and to import."""
    helper = QueryHelper()
    yield helper
    helper.stop()


@dataclasses.dataclass(frozen=True)
class Server:
    """A server behind its port, and how to reach it through another."""

    port: int
    through: Through

    def muted(self, after: int | None) -> Proxy:
        return Proxy(self.port, mute_after=after)


def replaced(access: StorageAccess, **fields: object) -> StorageAccess:
    return StorageAccess(dataclasses.replace(access.storage, **fields), access.ssh_id)  # type: ignore[arg-type]


@pytest.fixture(params=["ssh", "s3"])
def server(request: pytest.FixtureRequest) -> Server:
    if request.param == "ssh":
        sshd: SshServer = request.getfixturevalue("sshd_server")
        over_ssh: StorageAccess = request.getfixturevalue("ssh_access")
        return Server(sshd.sshd.port, lambda port: replaced(over_ssh, ssh_port=port))
    s3: S3Server = request.getfixturevalue("s3_server")
    bucket: StorageAccess = request.getfixturevalue("s3_access")
    return Server(s3.port, lambda port: replaced(bucket, endpoint_url=f"http://127.0.0.1:{port}"))


def order(access: StorageAccess, path: str = "/etc/hostname") -> BackupOrder:
    return BackupOrder(
        "host.example", "0" * 16, "etc", "inc", access, SourceSet((path,)), Secret(""), "/nowhere", "/nowhere"
    )


def refusal(ask: Callable[[], object], seconds: float = SECONDS) -> str:
    """Return the error's words, which must come in time."""
    begun = time.monotonic()
    with pytest.raises(PapiError) as raised:
        ask()
    assert time.monotonic() - begun < seconds
    assert isinstance(raised.value, InvalidStorageError)
    return raised.value.message


def step_of(message: str, steps: tuple[str, ...] = STEPS) -> str:
    step = message.partition(": ")[0]
    assert step in steps, message
    return step


def handshake_of(server: Server) -> int:
    """How many bytes a client sends until it is logged in."""
    with server.muted(None) as proxy:
        storage = hasty(server.through(proxy.port), 10)
        storage.open()
        sent = proxy.sent
        storage.close()
    return sent


def test_a_listener_that_accepts_and_says_nothing_is_told_by_the_first_step(
    helper: QueryHelper, server: Server
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0), backlog=64)) as silent:
        access = server.through(silent.getsockname()[1])
        assert step_of(refusal(lambda: helper.check_storage(access))) == "reach"
        message = refusal(lambda: helper.check_backup(order(access), 0))
        assert step_of(message, OF_BACKUPS) == "reach"


@contextmanager
def deaf_port() -> Iterator[int]:
    """A port whose queue of connections is full: the kernel drops whatever packet comes to it."""
    with ExitStack() as held:
        listener = held.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _unused in range(4):
            client = held.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        time.sleep(0.1)
        with socket.socket() as probe, pytest.raises(TimeoutError):
            probe.settimeout(0.3)
            probe.connect(listener.getsockname())
        yield listener.getsockname()[1]


def test_a_host_that_drops_every_packet_is_told_by_the_first_step(
    helper: QueryHelper, server: Server
) -> None:
    with deaf_port() as port:
        access = server.through(port)
        assert step_of(refusal(lambda: helper.check_storage(access))) == "reach"
        assert step_of(refusal(lambda: helper.check_backup(order(access), 0)), OF_BACKUPS) == "reach"


def test_a_server_that_falls_silent_after_the_handshake(helper: QueryHelper, server: Server) -> None:
    with server.muted(handshake_of(server)) as proxy:
        access = server.through(proxy.port)
        assert step_of(refusal(lambda: helper.check_storage(access))) in ("login", "write")


def test_a_server_that_falls_silent_in_the_middle_of_a_write(helper: QueryHelper, server: Server) -> None:
    with server.muted(handshake_of(server) + 2000) as proxy:
        access = server.through(proxy.port)
        assert step_of(refusal(lambda: helper.check_storage(access))) == "write"


def test_wherever_a_server_falls_silent_the_step_is_named_in_time(server: Server) -> None:
    with server.muted(None) as proxy:
        check_storage(server.through(proxy.port), 10)
        whole = proxy.sent
    seen = []
    for point in range(POINTS):
        with server.muted(whole * (2 * point + 1) // (2 * POINTS)) as proxy:
            access = server.through(proxy.port)
            seen.append(step_of(refusal(lambda access=access: check_storage(access, 1.0), 2.0)))
    assert [STEPS.index(step) for step in seen] == sorted(STEPS.index(step) for step in seen)
    assert len(set(seen)) > 2


def test_a_backups_test_passes_in_time_where_the_server_answers(helper: QueryHelper, server: Server) -> None:
    begun = time.monotonic()
    checked = helper.check_backup(order(server.through(server.port)), 1)
    assert time.monotonic() - begun < SECONDS
    names = [step.name for step in checked.steps]
    assert names == [step for step in OF_BACKUPS if step in names]
    assert names[0] == "sources" and names[-1] == "key"
    missing = order(server.through(server.port), "/no/such/place")
    with pytest.raises(PapiError, match=re.escape("'/no/such/place'")) as raised:
        helper.check_backup(missing, 1)
    assert (raised.value.code, step_of(raised.value.message, OF_BACKUPS)) == (3005, "sources")
