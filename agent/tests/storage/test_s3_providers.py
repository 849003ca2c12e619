# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What providers demand or do not know: checksums in headers, and buckets as a part of the host's name."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Mapping

import pytest
from realparts.memory_s3 import MemoryS3
from realparts.pytest_fixtures import SshServer, make_ssh_id
from realparts.sshd import Sshd

from papi_backup.engine.storage.check import check_storage, run_check
from papi_backup.engine.storage.opener import patient
from papi_backup.engine.storage.s3 import S3ObjectStorage
from papi_backup.engine.storage.s3_answers import S3Timeouts
from papi_backup.engine.storage.s3_writer import IN_ONE
from papi_backup.engine.storage.ssh_offers import parse_offers
from papi_backup.model.errors import InvalidStorageError, TransferError
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage, StorageAccess

NAME = "data/h/n/1"
LARGE = bytes((16 << 20) + 5)
Refusal = tuple[int, str, str] | None
Headers = Mapping[str, str]


def storage_on(server: MemoryS3) -> S3ObjectStorage:
    entry = S3Storage("s3", "AK", Secret("SK"), "bucket", 8, server.endpoint_url, "us-east-1", "p")
    return S3ObjectStorage(entry, S3Timeouts(5, 5, tries=1))


def put(storage: S3ObjectStorage, body: bytes) -> None:
    writer = storage.create(NAME, 0 if len(body) < len(LARGE) else IN_ONE + 1)
    writer.write(body)
    writer.commit()


def wants_checksums(kind: str, headers: Headers) -> Refusal:
    """Refuse as a bucket with Object Lock and a default retention does."""
    given = "content-md5" in headers or any(name.startswith("x-amz-checksum-crc") for name in headers)
    if kind in {"put", "part"} and not given:
        return 400, "InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is required"
    return None


def knows_md5_alone(kind: str, headers: Headers) -> Refusal:
    """Refuse headers as a provider does that has not heard of the newer checksums."""
    new = [name for name in headers if name.startswith("x-amz-checksum-")]
    if new:
        return 400, "InvalidArgument", f"Unsupported header '{new[0]}' received for this API call."
    return wants_checksums(kind, headers)


@pytest.mark.parametrize("refuses", [wants_checksums, knows_md5_alone])
@pytest.mark.parametrize("body", [b"small", LARGE], ids=["whole", "in parts"])
def test_objects_and_parts_go_up_with_a_checksum_in_a_header(refuses, body: bytes) -> None:
    with MemoryS3(refuses=refuses) as server:
        storage = storage_on(server)
        put(storage, body)
        assert storage.get(NAME) == body


@pytest.mark.parametrize("refuses", [wants_checksums, knows_md5_alone])
def test_the_test_of_such_a_bucket_passes(refuses) -> None:
    with MemoryS3(refuses=refuses) as server:
        assert run_check(storage_on(server), 10).steps


def test_the_checksum_is_the_one_of_the_body_and_no_trailer() -> None:
    sent: list[Headers] = []

    def note(kind: str, headers: Headers) -> Refusal:
        if kind == "put":
            sent.append(headers)
        return knows_md5_alone(kind, headers)

    with MemoryS3(refuses=note) as server:
        put(storage_on(server), b"body")
    first, second = sent
    assert first["x-amz-checksum-crc32"] == base64.b64encode(zlib.crc32(b"body").to_bytes(4, "big")).decode()
    digest = hashlib.md5(b"body", usedforsecurity=False).digest()
    assert second["content-md5"] == base64.b64encode(digest).decode()
    assert all("x-amz-trailer" not in headers and headers["content-length"] == "4" for headers in sent)


def test_a_real_server_takes_the_checksums(s3_access: StorageAccess) -> None:
    storage = patient(s3_access)
    storage.open()
    for name, body, hint in (("data/1", b"small", 0), ("data/2", LARGE, IN_ONE + 1)):
        writer = storage.create(name, hint)
        writer.write(body)
        writer.commit()
        assert storage.get(name, 0, len(body)) == body
    storage.close()


def test_a_provider_of_buckets_as_host_names_is_asked_so_after_its_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hosts: list[str] = []

    def refuses(_kind: str, headers: Headers) -> Refusal:
        hosts.append(headers["host"])
        if headers["host"].startswith("bucket."):
            return None
        return 403, "SecondLevelDomainForbidden", "Please use virtual hosted style to access."

    with MemoryS3(refuses=refuses) as server:
        monkeypatch.setenv("http_proxy", server.endpoint_url)  # which knows every name
        entry = S3Storage("s3", "AK", Secret("SK"), "bucket", 8, "http://s3.example", "us-east-1")
        S3ObjectStorage(entry, S3Timeouts(5, 5, tries=1)).open()
    assert hosts == ["s3.example", "bucket.s3.example"]


# -- ciphers -------------------------------------------------------------------------------------


def test_a_server_with_which_no_cipher_is_shared_is_4001_at_once_with_what_it_offers(tmp_path) -> None:
    with Sshd(tmp_path / "sshd", ciphers="chacha20-poly1305@openssh.com") as sshd:
        ssh_id = make_ssh_id(tmp_path)
        sshd.add_authorized_key(ssh_id.public_key)
        access = SshServer(sshd, ssh_id).access(tmp_path)
        told = "no cipher in common: the server offers chacha20-poly1305@openssh.com"
        with pytest.raises(InvalidStorageError, match=told):
            patient(access).open()
        with pytest.raises(InvalidStorageError, match=f"^reach: .*{told}"):
            check_storage(access, 20)


@pytest.mark.parametrize("packet", [b"", b"\x04\x15" + bytes(40), b"\x04\x14" + bytes(16) + b"\xff" * 8])
def test_what_is_no_offer_is_refused(packet: bytes) -> None:
    with pytest.raises(ValueError, match="KEXINIT"):
        parse_offers(packet)


def test_an_answer_without_its_promised_fields_is_refused() -> None:
    with MemoryS3() as server:
        storage = storage_on(server)
        put(storage, b"x")
        server.forgets_dates = True
        with pytest.raises(TransferError, match="the answer has no LastModified"):
            storage.stat(NAME)
