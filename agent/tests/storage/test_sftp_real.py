# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SFTP against a real sshd: who is let in, whose host key is trusted, what a bad network does."""

from __future__ import annotations

import dataclasses
import random
import time
from pathlib import Path

import pytest
from realparts.process import free_ports
from realparts.proxy import Proxy
from realparts.pytest_fixtures import SshServer, make_ssh_id
from realparts.sshd import Sshd

from papi_backup.engine.storage.backoff import RetryPolicy
from papi_backup.engine.storage.connecting import Connectable
from papi_backup.engine.storage.opener import opener_for, patient
from papi_backup.engine.storage.protocol import Storage
from papi_backup.engine.storage.retrying import RetryingStorage
from papi_backup.engine.storage.sftp import SftpStorage
from papi_backup.engine.storage.ssh_connect import SshTimeouts
from papi_backup.model.errors import InvalidStorageError, StorageCredentialsError, TransferError
from papi_backup.model.host_key import fingerprint
from papi_backup.model.secret import Secret
from papi_backup.model.storage import SshId, SshStorage, StorageAccess

MEBIBYTE = 1 << 20
QUICK = RetryPolicy(attempts=5, first_delay=0.02, longest_delay=0.1)
BODY = random.Random(3).randbytes(12 * MEBIBYTE + 17)


def changed(access: StorageAccess, **fields: object) -> StorageAccess:
    assert isinstance(access.storage, SshStorage)
    return StorageAccess(dataclasses.replace(access.storage, **fields), access.ssh_id)  # type: ignore[arg-type]


def put(storage: Storage, name: str, data: bytes, step: int = MEBIBYTE + 3) -> None:
    writer = storage.create(name, len(data))
    for start in range(0, len(data), step):
        writer.write(data[start : start + step])
    writer.commit()


# -- who is let in -------------------------------------------------------------------------------


def test_a_key_the_server_does_not_know_is_4000(ssh_access: StorageAccess, tmp_path: Path) -> None:
    stranger = StorageAccess(ssh_access.storage, make_ssh_id(tmp_path, "stranger"))
    with pytest.raises(StorageCredentialsError, match=r"127\.0\.0\.1 port \d+ refused the SSH key for user"):
        opener_for(stranger)()


def test_a_user_the_server_does_not_know_is_4000(ssh_access: StorageAccess) -> None:
    with pytest.raises(StorageCredentialsError, match="nobody-of-that-name"):
        opener_for(changed(ssh_access, ssh_username="nobody-of-that-name"))()


@pytest.mark.parametrize("text", ["", "no key at all", "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n"])
def test_a_private_key_that_is_none_is_4000_and_is_not_quoted(ssh_access: StorageAccess, text: str) -> None:
    access = StorageAccess(ssh_access.storage, SshId(1, "broken", 0, "", Secret(text)))
    with pytest.raises(StorageCredentialsError) as raised:
        opener_for(access)()
    assert not text or text not in str(raised.value)
    assert "c2VjcmV0" not in str(raised.value)


@pytest.mark.parametrize("kind", [("ed25519", 0), ("rsa", 2048), ("rsa", 3072), ("ecdsa", 256)])
def test_keys_of_every_usual_type_are_let_in(
    sshd_server: SshServer, ssh_access: StorageAccess, tmp_path: Path, kind: tuple[str, int]
) -> None:
    ssh_id = make_ssh_id(tmp_path, kind[0], kind[0], kind[1])
    sshd_server.sshd.add_authorized_key(ssh_id.public_key)
    storage = opener_for(StorageAccess(ssh_access.storage, ssh_id))()
    assert list(storage.list("")) == []
    storage.close()


# -- who may read it -----------------------------------------------------------------------------


def modes(directory: Path) -> dict[str, int]:
    return {str(path.relative_to(directory)): path.stat().st_mode & 0o777 for path in directory.rglob("*")}


def test_what_is_stored_is_for_its_owner_alone_and_what_was_there_keeps_its_mode(
    sshd_server: SshServer, tmp_path: Path
) -> None:
    (tmp_path / "shared").mkdir(mode=0o755)
    (tmp_path / "shared").chmod(0o755)
    storage = opener_for(sshd_server.access(tmp_path / "shared" / "base"))()
    put(storage, "data/web1/1", BODY[:1000])
    unfinished = storage.create("data/web1/2")
    unfinished.write(BODY[:1000])
    seen = modes(tmp_path / "shared")
    assert {path: mode for path, mode in seen.items() if "tmp" not in path.split("/")} == {
        "base": 0o700,
        "base/data": 0o700,
        "base/data/web1": 0o700,
        "base/data/web1/1": 0o600,
    }
    assert {mode for path, mode in seen.items() if path.startswith("base/tmp/")} <= {0o600, 0o700}
    assert (tmp_path / "shared").stat().st_mode & 0o777 == 0o755
    (tmp_path / "shared" / "base").chmod(0o750)
    put(storage, "data/web1/3", BODY[:1000])
    assert modes(tmp_path / "shared")["base"] == 0o750
    unfinished.abort()
    storage.close()


# -- whose host key ------------------------------------------------------------------------------


def opened(access: StorageAccess) -> Connectable:
    storage = patient(access, QUICK)
    storage.open()
    storage.close()
    return storage


def test_without_a_pinned_host_key_the_one_that_was_seen_is_told(ssh_access: StorageAccess) -> None:
    assert isinstance(ssh_access.storage, SshStorage)
    assert opened(changed(ssh_access, host_key="")).host_key == ssh_access.storage.host_key


@pytest.mark.parametrize("comment", ["", " somebody@somewhere", "  \n"])
def test_the_pinned_host_key_is_accepted_whatever_stands_behind_it(
    ssh_access: StorageAccess, comment: str
) -> None:
    assert isinstance(ssh_access.storage, SshStorage)
    opened(changed(ssh_access, host_key=ssh_access.storage.host_key + comment))


def test_another_host_key_is_4001_naming_the_host_and_both_fingerprints(
    ssh_access: StorageAccess, tmp_path: Path
) -> None:
    assert isinstance(ssh_access.storage, SshStorage)
    for kind in ("ed25519", "rsa"):
        other = make_ssh_id(tmp_path, "other", kind).public_key
        with pytest.raises(InvalidStorageError) as raised:
            opened(changed(ssh_access, host_key=other))
        for told in (
            "127.0.0.1",
            fingerprint(other),
            fingerprint(ssh_access.storage.host_key),
            "has changed",
        ):
            assert told in str(raised.value)


def test_a_server_with_keys_of_several_types_shows_the_pinned_one(tmp_path: Path) -> None:
    ssh_id = make_ssh_id(tmp_path)
    with Sshd(tmp_path / "sshd", host_key_types=("ed25519", "rsa", "ecdsa")) as sshd:
        sshd.add_authorized_key(ssh_id.public_key)
        (tmp_path / "base").mkdir()
        for host_key in sshd.host_keys:
            access = SshServer(sshd, ssh_id).access(tmp_path / "base", host_key)
            assert opened(access).host_key == host_key


# -- whether it can be reached and written -------------------------------------------------------


def test_a_port_where_nobody_listens_is_4001_at_once(ssh_access: StorageAccess) -> None:
    begun = time.monotonic()
    with pytest.raises(InvalidStorageError, match="cannot be reached: Connection refused"):
        opener_for(changed(ssh_access, ssh_port=free_ports(1)[0]))()
    assert time.monotonic() - begun < 2


def test_a_name_that_does_not_exist_is_4001(ssh_access: StorageAccess) -> None:
    with pytest.raises(InvalidStorageError, match=r"no-such-host\.invalid port \d+ cannot be reached"):
        opener_for(changed(ssh_access, server_name="no-such-host.invalid"))()


def test_a_server_that_is_no_ssh_server_is_4001(ssh_access: StorageAccess, s3_access: StorageAccess) -> None:
    port = int(s3_access.storage.location.split(":")[3].split("/")[0])
    storage = RetryingStorage(SftpStorage(changed(ssh_access, ssh_port=port), SshTimeouts(2, 2, 2, 2)), QUICK)
    with pytest.raises(InvalidStorageError):
        storage.open()


@pytest.mark.parametrize("missing", ["a/b", "file", "file/below"])
def test_a_base_that_does_not_exist_or_is_no_directory_is_4001_naming_it(
    ssh_access: StorageAccess, tmp_path: Path, missing: str
) -> None:
    (tmp_path / "file").write_text("a file")
    storage = opener_for(changed(ssh_access, storage_base=str(tmp_path / missing)))()
    with pytest.raises(InvalidStorageError, match=str(tmp_path / missing)):
        put(storage, "data/1", b"x")
    storage.close()
    assert not (tmp_path / "a").exists()


def test_the_last_component_of_the_base_is_made_by_the_first_write(
    ssh_access: StorageAccess, tmp_path: Path
) -> None:
    storage = opener_for(changed(ssh_access, storage_base=f"{tmp_path}/new/"))()
    assert list(storage.list("")) == []
    assert not (tmp_path / "new").exists()
    put(storage, "data/1", b"x")
    assert (tmp_path / "new" / "data" / "1").read_bytes() == b"x"
    storage.close()


@pytest.mark.parametrize("denied", ["rename", "mkdir", "write", "open"])
def test_a_server_that_does_not_allow_what_writing_needs_is_4001(tmp_path: Path, denied: str) -> None:
    ssh_id = make_ssh_id(tmp_path)
    (tmp_path / "base").mkdir()
    with Sshd(tmp_path / "sshd", denied_requests=[denied]) as sshd:
        sshd.add_authorized_key(ssh_id.public_key)
        storage = opener_for(SshServer(sshd, ssh_id).access(tmp_path / "base"))()
        with pytest.raises(InvalidStorageError, match="ermission denied"):
            put(storage, "data/1", b"x")
        storage.close()
    assert not (tmp_path / "base" / "data" / "1").exists()


# -- a bad network -------------------------------------------------------------------------------


def through(proxy: Proxy, access: StorageAccess, idle: float = 60.0) -> Storage:
    via = changed(access, ssh_port=proxy.port)
    storage = RetryingStorage(SftpStorage(via, SshTimeouts(5, 5, 5, idle), QUICK), QUICK)
    storage.open()
    return storage


def test_an_upload_cut_three_times_arrives_as_if_nothing_had_happened(
    sshd_server: SshServer, ssh_access: StorageAccess
) -> None:
    cuts = [2 * MEBIBYTE, 5 * MEBIBYTE + 4097, 3 * MEBIBYTE - 1]
    with Proxy(sshd_server.sshd.port, cut_after=cuts) as proxy:
        storage = through(proxy, ssh_access)
        put(storage, "data/1", BODY)
        assert proxy.cuts == 3
        assert storage.get("data/1") == BODY
        storage.close()
    assert isinstance(ssh_access.storage, SshStorage)
    base = Path(ssh_access.storage.storage_base)
    assert (base / "data" / "1").read_bytes() == BODY
    assert list((base / "tmp").iterdir()) == []


def test_a_connection_cut_between_two_calls_is_made_again(
    sshd_server: SshServer, ssh_access: StorageAccess
) -> None:
    with Proxy(sshd_server.sshd.port) as proxy:
        storage = through(proxy, ssh_access)
        for number in range(3):
            put(storage, f"data/{number}", BODY[:1000])
            proxy.cut()
            assert storage.get(f"data/{number}") == BODY[:1000]
            proxy.cut()
            assert len(list(storage.list(""))) == number + 1
        proxy.cut()
        storage.delete(["data/0", "data/1", "data/2"])
        proxy.cut()
        assert list(storage.list("")) == []
        storage.close()


@pytest.mark.slow
def test_a_server_that_falls_silent_is_noticed_and_the_upload_goes_on(
    sshd_server: SshServer, ssh_access: StorageAccess
) -> None:
    with Proxy(sshd_server.sshd.port) as proxy:
        storage = through(proxy, ssh_access, idle=1.0)
        writer = storage.create("data/1")
        writer.write(BODY[:MEBIBYTE])
        proxy.stall()
        proxy.resume_after(1.5)
        writer.write(BODY[MEBIBYTE:])
        writer.commit()
        assert storage.get("data/1") == BODY
        storage.close()


@pytest.mark.slow
def test_a_server_that_stays_silent_is_given_up_with_4005(
    sshd_server: SshServer, ssh_access: StorageAccess
) -> None:
    with Proxy(sshd_server.sshd.port) as proxy:
        via = changed(ssh_access, ssh_port=proxy.port)
        policy = RetryPolicy(attempts=2, first_delay=0.01)
        storage = SftpStorage(via, SshTimeouts(1, 1, 1, 1), policy)
        storage.open()
        writer = storage.create("data/1")
        proxy.stall()
        with pytest.raises(TransferError, match="given up after 2 attempts"):
            while True:
                writer.write(BODY)
        writer.abort()
        storage.close()


@pytest.mark.slow
def test_a_distant_server_is_written_and_read_right(
    sshd_server: SshServer, ssh_access: StorageAccess
) -> None:
    with Proxy(sshd_server.sshd.port, delay=0.02) as proxy:
        storage = through(proxy, ssh_access)
        put(storage, "data/1", BODY[: 6 * MEBIBYTE])
        begun = time.monotonic()
        assert storage.get("data/1") == BODY[: 6 * MEBIBYTE]
        assert time.monotonic() - begun < 0.04 * 24, "reads are pipelined: far fewer trips than requests"
        storage.close()
