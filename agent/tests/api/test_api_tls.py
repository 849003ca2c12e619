# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS as real clients see it: Python's ssl with all checks on, and the collection's own client."""

from __future__ import annotations

import hashlib
import importlib
import json
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_backends import create_world

from papi_backup.api.server import ApiServer
from papi_backup.api.tls import ServerTls, self_made_of
from papi_backup.config import ApiSettings, Settings
from papi_backup.state.tls import RENEW_BEFORE, SERVER_LIFE, facts_in

PATIENT = 15.0
LIST = "/papi/backup/storage/list"
REPOSITORY = Path(__file__).parents[3]


class Clock:
    """Tells the time it was set to."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@contextmanager
def serving(directory: Path, clock: Clock | None = None) -> Iterator[tuple[int, Path, Settings]]:
    """Serve over self-made TLS; gives the port, a file with the authority, and the settings."""
    world = create_world(directory, ApiSettings(listen="127.0.0.1:0", tls_self_made=True))
    tls = ServerTls(world.settings, clock or Clock(), look_seconds=0.05)
    server = ApiServer(world.settings, world.services, world.store.instance_id, tls=tls)
    server.start()
    try:
        own = self_made_of(world.settings)
        assert own is not None
        authority = directory / "ca.pem"
        authority.write_text(own.authority_pem())
        yield server.tcp_port, authority, world.settings
    finally:
        server.stop(5)
        world.store.close()


def certificate_of(port: int, context: ssl.SSLContext, name: str = "localhost") -> str:
    """Connect with all checks on; return the SHA-256 of the certificate that was shown."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENT) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        shown = connection.getpeercert(binary_form=True)
        assert shown is not None
        return hashlib.sha256(shown).hexdigest().upper()


def trusting(authority: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority))
    # What newer Pythons do by themselves.
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    return context


@pytest.mark.parametrize("name", ["host.example", "localhost", "127.0.0.1"])
def test_a_client_that_trusts_the_authority_accepts_the_self_made_certificate_by_name(
    tmp_path: Path, name: str
) -> None:
    with serving(tmp_path) as (port, authority, settings):
        shown = certificate_of(port, trusting(authority), name)
        assert shown == facts_in(settings.state_dir / "tls-server.pem").fingerprint.replace(":", "")


def test_a_client_that_does_not_or_that_asks_for_another_name_refuses_it(tmp_path: Path) -> None:
    with serving(tmp_path) as (port, authority, _unused):
        with pytest.raises(
            ssl.SSLCertVerificationError, match="self-signed certificate in certificate chain"
        ):
            certificate_of(port, ssl.create_default_context())
        with pytest.raises(ssl.SSLCertVerificationError, match=r"other\.example"):
            certificate_of(port, trusting(authority), "other.example")


def test_old_versions_of_tls_and_weak_ciphers_are_refused(tmp_path: Path) -> None:
    with serving(tmp_path) as (port, authority, _unused):
        old = trusting(authority)
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_2
        old.set_ciphers("ECDHE-ECDSA-AES128-SHA")
        with pytest.raises(ssl.SSLError):
            certificate_of(port, old)
        old.set_ciphers("ECDHE+AESGCM")
        assert certificate_of(port, old)


def test_a_certificate_is_renewed_while_the_server_runs_and_clients_notice_nothing(tmp_path: Path) -> None:
    clock = Clock()
    present = clock.now
    clock.now -= SERVER_LIFE - RENEW_BEFORE + timedelta(days=1)
    with serving(tmp_path, clock) as (port, authority, _unused):
        trusted = trusting(authority)
        first = certificate_of(port, trusted)
        clock.now = present
        deadline = time.monotonic() + PATIENT
        while certificate_of(port, trusted) == first:
            assert time.monotonic() < deadline, "it was not renewed"
            time.sleep(0.05)


def test_a_renewal_that_fails_is_logged_and_the_present_certificate_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(tmp_path) as (port, authority, settings):
        trusted = trusting(authority)
        first = certificate_of(port, trusted)
        (settings.state_dir / "tls-authority.pem").write_text("damaged")
        deadline = time.monotonic() + PATIENT
        while "cannot renew the TLS certificate" not in caplog.text:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert certificate_of(port, trusted) == first


def test_a_given_key_that_others_may_read_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(tmp_path) as (_unused, _authority, settings):
        given = settings.state_dir / "tls-server.pem"
        copy = tmp_path / "copy.pem"
        copy.write_bytes(given.read_bytes())
        copy.chmod(0o644)
        api = ApiSettings(listen="127.0.0.1:0", tls_certificate=copy, tls_key=copy)
        ServerTls(Settings(tmp_path, "h", api)).context()
        assert f"others may read the TLS key {copy} (mode 0644)" in caplog.text


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The package of the collection's module_utils, importable as Ansible imports it."""
    root = tmp_path_factory.mktemp("collections")
    namespace = root / "ansible_collections" / "papi"
    namespace.mkdir(parents=True)
    (namespace / "backup").symlink_to(REPOSITORY)
    sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    yield "ansible_collections.papi.backup.plugins.module_utils"
    sys.path.remove(str(root))
    for name in [name for name in sys.modules if name.split(".")[0] == "ansible_collections"]:
        del sys.modules[name]


def client_of(collection: str, port: int, credentials: dict[str, str], **options: Any) -> Any:
    connection = importlib.import_module(f"{collection}._connection")
    client = importlib.import_module(f"{collection}._client")
    transport = connection.UrlTransport(f"https://localhost:{port}", PATIENT, **options)
    return client.Client(transport, credentials, check_mode=False)


def test_the_collections_client_trusts_the_authority_by_ca_path_and_refuses_without(
    tmp_path: Path, collection: str
) -> None:
    credentials = {"username": "admin", "password": "secret"}
    with serving(tmp_path) as (port, authority, _unused):
        client = client_of(collection, port, credentials, ca_path=str(authority))
        assert [storage["storage_name"] for storage in client.query("storage/list")] == [
            "vault",
            "bucket",
            "spare",
        ]
        assert json.loads(json.dumps(client.change("storage/del", {"storage_id": 3})))["success"] == 1
        errors = importlib.import_module(f"{collection}._errors")
        with pytest.raises(errors.ConnectionFailure, match="Name its authority with ca_path"):
            client_of(collection, port, credentials).query("storage/list")
        assert client_of(collection, port, credentials, validate_certs=False).query("storage/list")
