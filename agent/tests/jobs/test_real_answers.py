# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The query process with the real engine, on storages that are not there."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from papi_backup.jobs.query_helper import QueryHelper
from papi_backup.model.errors import InvalidStorageError
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage, SshId, SshStorage, StorageAccess


@pytest.fixture(scope="module")
def helper() -> Iterator[QueryHelper]:
    helper = QueryHelper()
    yield helper
    helper.stop()


def s3(port: int) -> StorageAccess:
    return StorageAccess(S3Storage("away", "id", Secret("secret"), "b", 32, f"http://127.0.0.1:{port}"))


def ssh(port: int, key: str) -> StorageAccess:
    return StorageAccess(
        SshStorage("away", "127.0.0.1", port, "u", 1, "/b"), SshId(1, "k", 2048, "", Secret(key))
    )


@pytest.fixture(scope="module")
def private_key() -> str:
    key = ed25519.Ed25519PrivateKey.generate()
    openssh = serialization.PrivateFormat.OpenSSH
    return key.private_bytes(serialization.Encoding.PEM, openssh, serialization.NoEncryption()).decode()


@pytest.mark.parametrize("kind", ["s3", "ssh"])
def test_a_storage_that_refuses_connections_is_4001(helper: QueryHelper, kind: str, private_key: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    access = s3(port) if kind == "s3" else ssh(port, private_key)
    with pytest.raises(InvalidStorageError):
        helper.check_storage(access)


@pytest.mark.parametrize("kind", ["s3", "ssh"])
def test_a_storage_that_never_answers_is_4001_within_5_seconds(
    helper: QueryHelper, kind: str, private_key: str
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0), backlog=64)) as server:
        port = server.getsockname()[1]
        started = time.monotonic()
        with pytest.raises(InvalidStorageError):
            helper.check_storage(s3(port) if kind == "s3" else ssh(port, private_key))
        assert time.monotonic() - started < 5.0
