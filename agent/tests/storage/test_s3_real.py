# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""S3 against a real server: refused credentials, missing places, a bad network, racing processes."""

from __future__ import annotations

import dataclasses
import random
import time

import pytest
from realparts.process import free_ports
from realparts.proxy import Proxy
from realparts.s3server import S3Server

from papi_backup.engine.storage.backoff import RetryPolicy
from papi_backup.engine.storage.opener import opener_for
from papi_backup.engine.storage.protocol import Storage
from papi_backup.engine.storage.retrying import RetryingStorage
from papi_backup.engine.storage.s3 import S3ObjectStorage
from papi_backup.engine.storage.s3_answers import S3Timeouts
from papi_backup.model.errors import InvalidStorageError, PapiError, StorageCredentialsError, TransferError
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage, StorageAccess

MEBIBYTE = 1 << 20
QUICK = RetryPolicy(attempts=5, first_delay=0.05, longest_delay=0.2)
BODY = random.Random(4).randbytes(9 * MEBIBYTE + 5)


def entry(access: StorageAccess, **fields: object) -> S3Storage:
    assert isinstance(access.storage, S3Storage)
    return dataclasses.replace(access.storage, **fields)  # type: ignore[arg-type]


def put(storage: Storage, name: str, data: bytes, hint: int = 0) -> None:
    writer = storage.create(name, hint)
    writer.write(data)
    writer.commit()


@pytest.mark.parametrize(
    ("fields", "error", "told"),
    [
        ({"aws_secret_key": Secret("wrong")}, StorageCredentialsError, "SignatureDoesNotMatch"),
        ({"aws_key_id": "nobody"}, StorageCredentialsError, "InvalidAccessKeyId"),
        ({"bucket_name": "no-such-bucket"}, InvalidStorageError, "bucket no-such-bucket does not exist"),
        ({"bucket_name": "Not a bucket!"}, InvalidStorageError, "Not a bucket!"),
        ({"endpoint_url": "http://no-such-host.invalid"}, InvalidStorageError, "cannot be reached"),
        ({"endpoint_url": "no address"}, InvalidStorageError, "no address"),
    ],
)
def test_a_wrong_setting_is_told_when_the_storage_is_opened(
    s3_access: StorageAccess, fields: dict[str, object], error: type[PapiError], told: str
) -> None:
    with pytest.raises(error, match=told) as raised:
        opener_for(StorageAccess(entry(s3_access, **fields)))()
    secret = entry(s3_access).aws_secret_key.reveal()
    assert secret not in str(raised.value)
    assert "wrong" not in str(raised.value)


def test_a_port_where_nobody_listens_is_4001_soon(s3_access: StorageAccess) -> None:
    begun = time.monotonic()
    with pytest.raises(InvalidStorageError, match="cannot be reached"):
        opener_for(StorageAccess(entry(s3_access, endpoint_url=f"http://127.0.0.1:{free_ports(1)[0]}")))()
    assert time.monotonic() - begun < 10


def test_two_prefixes_of_one_bucket_know_nothing_of_each_other(s3_access: StorageAccess) -> None:
    one = opener_for(s3_access)()
    other = opener_for(StorageAccess(entry(s3_access, prefix=f"{entry(s3_access).prefix}-other/")))()
    put(one, "data/1", b"x")
    assert list(other.list("")) == []
    assert list(other.list_children("")) == []
    put(other, "data/1", b"y")
    other.delete(["data/1"])
    assert [found.name for found in one.list("")] == ["data/1"]


@pytest.mark.parametrize("hint", [0, 65 * MEBIBYTE])
def test_uploads_cut_in_the_middle_arrive_as_if_nothing_had_happened(
    s3_server: S3Server, s3_access: StorageAccess, hint: int
) -> None:
    body = BODY if not hint else random.Random(8).randbytes(34 * MEBIBYTE)
    with Proxy(s3_server.port, cut_after=[2 * MEBIBYTE, 5 * MEBIBYTE, 8 * MEBIBYTE]) as proxy:
        via = entry(s3_access, endpoint_url=f"http://127.0.0.1:{proxy.port}")
        storage = RetryingStorage(S3ObjectStorage(via, S3Timeouts(5, 20), QUICK), QUICK)
        put(storage, "data/1", body, hint)
        assert proxy.cuts == 3
        assert storage.get("data/1") == body
        proxy.cut()
        assert [(found.name, found.size) for found in storage.list("")] == [("data/1", len(body))]
        storage.close()


@pytest.mark.slow
def test_a_server_that_stays_silent_is_given_up_with_4005(
    s3_server: S3Server, s3_access: StorageAccess
) -> None:
    with Proxy(s3_server.port) as proxy:
        via = entry(s3_access, endpoint_url=f"http://127.0.0.1:{proxy.port}")
        policy = RetryPolicy(attempts=2, first_delay=0.01)
        storage = RetryingStorage(S3ObjectStorage(via, S3Timeouts(1, 1, tries=1), policy), policy)
        storage.open()
        proxy.stall()
        with pytest.raises(TransferError, match="given up after 2 attempts"):
            storage.get("data/1")
        storage.close()
