# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test of a storage: what passes, what is said of what does not, and how long it may take."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import pytest
from realparts.process import free_ports
from realparts.proxy import Proxy
from realparts.pytest_fixtures import SshServer, make_ssh_id
from realparts.s3server import S3Server
from realparts.storage_places import Place

from papi_backup.engine.storage.check import check_storage, run_check
from papi_backup.engine.storage.connecting import Entering, TransientError, untold
from papi_backup.engine.storage.directory import DirectoryStorage
from papi_backup.engine.storage.faults import Fault, FaultyStorage
from papi_backup.engine.storage.opener import hasty
from papi_backup.model.errors import InvalidStorageError, PapiError, StorageCredentialsError, TransferError
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage, SshStorage, StorageAccess

STEPS = ["reach", "login", "write", "read back", "create-only", "list", "clock", "delete", "room"]
RENAMING = [*STEPS[:3], "rename", *STEPS[3:]]


def changed(access: StorageAccess, **fields: object) -> StorageAccess:
    return StorageAccess(dataclasses.replace(access.storage, **fields), access.ssh_id)  # type: ignore[arg-type]


def test_every_kind_of_storage_passes_all_steps_and_is_left_clean(
    place: Place, request: pytest.FixtureRequest
) -> None:
    result = run_check(place.make(), 20)
    kind = request.node.callspec.params["place"]
    assert [step.name for step in result.steps] == (RENAMING if kind.startswith("sftp") else STEPS)
    told = "the storage cannot be asked" if kind in ("s3", "sftp_bare") else "MiB are free"
    assert result.steps[-1].detail.endswith(told)
    assert all(step.seconds >= 0 for step in result.steps)
    assert list(place.open().list("")) == []
    assert place.leftovers() == []
    assert place.directories() == []


def test_an_ssh_storage_tells_the_host_key_it_saw(ssh_access: StorageAccess) -> None:
    assert isinstance(ssh_access.storage, SshStorage)
    assert check_storage(changed(ssh_access, host_key="")).host_key == ssh_access.storage.host_key


def test_an_s3_storage_has_no_host_key(s3_access: StorageAccess) -> None:
    assert check_storage(s3_access).host_key == ""


def test_the_failed_step_is_named_for_ssh(ssh_access: StorageAccess, tmp_path: Path) -> None:
    other = make_ssh_id(tmp_path)
    for access, error, told in (
        (changed(ssh_access, ssh_port=free_ports(1)[0]), InvalidStorageError, "reach: .*refused"),
        (changed(ssh_access, host_key=other.public_key), InvalidStorageError, "reach: .*host key.*changed"),
        (StorageAccess(ssh_access.storage, other), StorageCredentialsError, "login: .*refused the SSH key"),
        (changed(ssh_access, storage_base="/no/such/place"), InvalidStorageError, "write: .*/no/such/place"),
    ):
        with pytest.raises(error, match=f"^{told}") as raised:
            check_storage(access)
        assert raised.type is error


def test_the_failed_step_is_named_for_s3(s3_access: StorageAccess) -> None:
    nowhere = f"http://127.0.0.1:{free_ports(1)[0]}"
    for access, error, told in (
        (changed(s3_access, endpoint_url=nowhere), InvalidStorageError, "reach: .*cannot be reached"),
        (changed(s3_access, aws_secret_key=Secret("wrong")), StorageCredentialsError, "login: .*Signature"),
        (
            changed(s3_access, bucket_name="no-such-bucket"),
            InvalidStorageError,
            "login: bucket no-such-bucket",
        ),
    ):
        with pytest.raises(error, match=f"^{told}") as raised:
            check_storage(access)
        assert raised.type is error


@pytest.mark.parametrize("kind", ["ssh", "s3"])
def test_a_server_that_swallows_packets_is_answered_for_within_the_deadline(
    kind: str,
    sshd_server: SshServer,
    ssh_access: StorageAccess,
    s3_server: S3Server,
    s3_access: StorageAccess,
) -> None:
    port = sshd_server.sshd.port if kind == "ssh" else s3_server.port
    check_storage(ssh_access if kind == "ssh" else s3_access)  # imports are paid
    with Proxy(port) as proxy:
        proxy.stall()
        address = f"http://127.0.0.1:{proxy.port}"
        access = (
            changed(ssh_access, ssh_port=proxy.port)
            if kind == "ssh"
            else changed(s3_access, endpoint_url=address)
        )
        begun = time.monotonic()
        with pytest.raises(InvalidStorageError, match=r"^reach: "):
            check_storage(access, deadline_seconds=1.5)
        assert time.monotonic() - begun < 2.5


@pytest.mark.slow
def test_a_server_that_falls_silent_later_is_answered_for_too(
    sshd_server: SshServer, ssh_access: StorageAccess
) -> None:
    with Proxy(sshd_server.sshd.port, delay=0.15) as proxy:
        begun = time.monotonic()
        with pytest.raises(InvalidStorageError, match=r": no answer within 1\.5 s"):
            check_storage(changed(ssh_access, ssh_port=proxy.port), deadline_seconds=1.5)
        assert time.monotonic() - begun < 2.5


@pytest.mark.parametrize(
    ("fault", "step", "error"),
    [
        (Fault("open", error=InvalidStorageError("x")), "reach", InvalidStorageError),
        (Fault("create", error=InvalidStorageError("x")), "write", InvalidStorageError),
        (Fault("commit", error=TransferError("x")), "write", TransferError),
        (Fault("get", error=InvalidStorageError("x")), "read back", InvalidStorageError),
        (Fault("get", flip=5), "read back", TransferError),
        (Fault("list", keep=0), "list", InvalidStorageError),
        (Fault("list", error=InvalidStorageError("x")), "list", InvalidStorageError),
        (Fault("delete", error=TransientError("x")), "delete", TransferError),
    ],
)
def test_whatever_fails_is_named_and_what_was_written_is_removed(
    tmp_path: Path, fault: Fault, step: str, error: type[PapiError]
) -> None:
    storage = FaultyStorage(DirectoryStorage(tmp_path / "base"), [fault])
    with pytest.raises(error, match=f"^{step}: "):
        run_check(storage, 10)
    assert list(DirectoryStorage(tmp_path / "base").list("")) == []


@pytest.mark.parametrize(
    "error", [InvalidStorageError("x"), StorageCredentialsError("x"), TransferError("x")]
)
def test_a_storage_that_does_not_permit_deletion_passes_and_is_told(tmp_path: Path, error: PapiError) -> None:
    faults = [Fault("delete", number, error) for number in (1, 2)]
    result = run_check(FaultyStorage(DirectoryStorage(tmp_path / "base"), faults), 10)
    assert [step.name for step in result.steps] == STEPS
    assert result.steps[-2].detail == "may not delete, so what a failed backup leaves stays there: x"


def test_an_object_that_was_refused_to_be_deleted_and_is_gone_is_no_guard(tmp_path: Path) -> None:
    storage = FaultyStorage(
        DirectoryStorage(tmp_path / "base"), [Fault("delete", error=InvalidStorageError("x"), after=True)]
    )
    with pytest.raises(InvalidStorageError, match=r"^delete: x"):
        run_check(storage, 10)


class Overwriting(DirectoryStorage):
    """A storage whose rename replaces what exists, as some servers' does."""

    def create(self, name: str, size_hint: int = 0):  # type: ignore[no-untyped-def]
        self.delete([name])
        return super().create(name, size_hint)


def test_a_storage_that_overwrites_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidStorageError, match=r"^create-only: the storage overwrites"):
        run_check(Overwriting(tmp_path / "base"), 10)


def test_too_little_room_is_refused_where_the_storage_can_be_asked(
    ssh_access: StorageAccess, bare_ssh_access: StorageAccess, tmp_path: Path
) -> None:
    for storage in (hasty(ssh_access, 10), DirectoryStorage(tmp_path / "base")):
        with pytest.raises(InvalidStorageError, match=r"^room: \d+ MiB are free, .* about 1048576 MiB$"):
            run_check(storage, 10, room=1 << 40)
    assert run_check(hasty(bare_ssh_access, 10), 10, room=1 << 40).steps


class Renamed(DirectoryStorage):
    """A storage that tells of its rename, which fails."""

    def open(self, entering: Entering = untold) -> None:
        super().open(entering)
        self._entering = entering

    def create(self, name: str, size_hint: int = 0):  # type: ignore[no-untyped-def]
        del name, size_hint
        self._entering("rename")
        raise InvalidStorageError("no rename here")


def test_a_rename_that_fails_is_told_from_a_write(tmp_path: Path) -> None:
    with pytest.raises(InvalidStorageError, match=r"^rename: no rename here"):
        run_check(Renamed(tmp_path / "base"), 10)


def test_steps_of_others_come_before_and_after_and_within_the_deadline(tmp_path: Path) -> None:
    def pass_on(storage: object) -> str:
        return type(storage).__name__

    storage = DirectoryStorage(tmp_path / "base")
    result = run_check(storage, 10, before=[("sources", pass_on)], after=[("key", pass_on)])
    assert [step.name for step in result.steps] == ["sources", *STEPS, "key"]
    assert [result.steps[0].detail, result.steps[-1].detail] == ["DirectoryStorage"] * 2

    def hang(unused: object) -> str:
        time.sleep(3)
        return ""

    for before, after, step in (([("sources", hang)], [], "sources"), ([], [("key", hang)], "key")):
        begun = time.monotonic()
        with pytest.raises(InvalidStorageError, match=rf"^{step}: no answer within 0\.5 s"):
            run_check(DirectoryStorage(tmp_path / "base"), 0.5, before=before, after=after)
        assert time.monotonic() - begun < 1.5


def test_secrets_are_in_no_message(s3_access: StorageAccess) -> None:
    assert isinstance(s3_access.storage, S3Storage)
    with pytest.raises(PapiError) as raised:
        check_storage(changed(s3_access, bucket_name="no-such-bucket"))
    assert s3_access.storage.aws_secret_key.reveal() not in str(raised.value)
