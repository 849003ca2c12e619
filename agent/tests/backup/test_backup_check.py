# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test of a backup configuration: sources, key and room, on a real sshd and a real S3 server."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from backing_host import Host

from papi_backup.engine.backup.check import check_backup
from papi_backup.engine.backup.sources import check_sources
from papi_backup.engine.storage.opener import opener_for
from papi_backup.model.errors import (
    CorruptedBackupError,
    DecryptionKeyError,
    DecryptionKeyMissingError,
    InvalidParameterError,
    InvalidStorageError,
    PapiError,
)
from papi_backup.model.job import BackupOrder
from papi_backup.model.secret import Secret
from papi_backup.model.storage import StorageAccess


@pytest.fixture(params=["ssh_access", "s3_access"])
def real_host(request: pytest.FixtureRequest, tmp_path: Path) -> Host:
    """A host with one encrypted backup on a real server."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_text("content")
    access: StorageAccess = request.getfixturevalue(request.param)
    host = Host(tmp_path, opener_for(access), key="the long key", access=access)
    host.clock = datetime.now(UTC)
    host.back_up("full")
    return host


def passed(order: BackupOrder, room: int = 0) -> dict[str, str]:
    return {step.name: step.detail for step in check_backup(order, room, 10).steps}


def test_the_key_of_the_chain_is_tried(real_host: Host) -> None:
    order = real_host.order()
    unknown = replace(order, known_chain_keys=())
    for one in (order, unknown):
        assert passed(one)["key"] == "the newest backup can be opened"
    for one in (order, unknown):
        with pytest.raises(DecryptionKeyError, match=r"^key: the newest backup of 'etc', of .* another"):
            check_backup(replace(one, encryption_key=Secret("mistyped")), 0, 10)
        with pytest.raises(DecryptionKeyMissingError, match=r"^key: .* no encryption_key$"):
            check_backup(replace(one, encryption_key=Secret("")), 0, 10)


def test_only_backups_of_this_installation_count(real_host: Host) -> None:
    for change in ({"instance_id": "f" * 16}, {"backup_name": "other"}, {"host_name": "other.example"}):
        order = replace(real_host.order(), encryption_key=Secret("a new key"), **change)
        assert passed(order)["key"] == "there is no backup of this agent yet"


def test_a_configuration_may_begin_to_encrypt(real_host: Host) -> None:
    real_host.key = ""
    real_host.back_up("full")
    assert passed(real_host.order())["key"] == "the newest backup can be opened"
    order = replace(real_host.order(), encryption_key=Secret("first key"))
    assert passed(order)["key"].startswith("the newest backup is not encrypted")


def test_room_for_another_backup_is_asked_for_where_that_can_be(real_host: Host) -> None:
    if real_host.order().access.ssh_id is None:
        assert passed(real_host.order(), 1 << 50)["room"] == "the storage cannot be asked"
    else:
        with pytest.raises(InvalidStorageError, match=r"^room: .* MiB are free, and a backup needs about"):
            check_backup(real_host.order(), 1 << 50, 10)


def test_a_test_leaves_nothing_behind(real_host: Host) -> None:
    before = sorted(found.name for found in real_host.opener().list(""))
    passed(real_host.order())
    with pytest.raises(DecryptionKeyError):
        check_backup(replace(real_host.order(), encryption_key=Secret("no"), known_chain_keys=()), 0, 10)
    assert sorted(found.name for found in real_host.opener().list("")) == before


def test_a_damaged_newest_backup_is_4004(real_host: Host) -> None:
    storage = real_host.opener()
    (manifest,) = storage.list("catalog/")
    data = storage.get(manifest.name)
    storage.delete([manifest.name])
    writer = storage.create(manifest.name, len(data))
    writer.write(data[:-1] + bytes([data[-1] ^ 1]))
    writer.commit()
    with pytest.raises(CorruptedBackupError, match=r"^key: .* damaged"):
        check_backup(real_host.order(), 0, 10)


# -- sources -------------------------------------------------------------------------------------


def test_sources_of_every_kind_can_be_read_and_nothing_waits_for_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "\udcff").mkdir()
    paths = [
        os.fspath(tmp_path),
        *(os.fspath(tmp_path / name) for name in ("file", "dangling", "pipe", "\udcff")),
    ]
    assert check_sources("etc", paths) == "5 can be read"


UNFIT = [
    (["/no/such"], r"its 'paths' do not all exist: '/no/such'\."),
    (["/etc/hostname/below", "/no"], r"do not all exist: '/etc/hostname/below', '/no'\."),
    (["{loop}", "/"], r"its 'paths' cannot all be read: '{loop}' \(Too many levels of symbolic links\)\."),
    (["{loop}", "/no/such"], r"do not all exist: '/no/such'\."),
]


@pytest.mark.parametrize(("paths", "told"), UNFIT, ids=["missing", "below a file", "unreadable", "both"])
def test_sources_that_are_missing_or_cannot_be_read_are_named(
    tmp_path: Path, paths: list[str], told: str
) -> None:
    (tmp_path / "leads-to-itself").symlink_to("leads-to-itself")
    loop = f"{tmp_path}/leads-to-itself/file"
    with pytest.raises(InvalidParameterError, match=told.replace("{loop}", loop)) as raised:
        check_sources("etc", [path.replace("{loop}", loop) for path in paths])
    assert raised.value.parameter == "paths"


def test_sources_come_first_and_are_named_as_the_step(tmp_path: Path, ssh_access: StorageAccess) -> None:
    order = Host(tmp_path, opener_for(ssh_access), paths=("/no/such",), access=ssh_access).order()
    with pytest.raises(PapiError, match=r"^sources: Backup 'etc': its 'paths'"):
        check_backup(order, 0, 10)


@pytest.mark.parametrize(
    ("key", "told"), [("\n", "nothing but blanks"), ("short", "fewer than 8 characters")]
)
def test_a_key_that_is_none_or_soon_guessed_is_told_of(real_host: Host, key: str, told: str) -> None:
    real_host.key = key
    result = real_host.back_up("full")
    assert told in passed(real_host.order())["key"]
    assert any("nothing but blanks" in warning for warning in result.warnings) == (key == "\n")
