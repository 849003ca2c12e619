# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SFTP when things go wrong at one exact request: dropped, refused, lied about."""

from __future__ import annotations

import random
import socket
import struct
import threading
from pathlib import Path

import pytest
from realparts.memory_sftp import FAILURE, PERMISSION_DENIED, UNSUPPORTED, MemorySftp, Trouble
from realparts.memory_storage import PATIENCE, storage_on
from realparts.pytest_fixtures import make_ssh_id

from papi_backup.engine.storage.protocol import ObjectExistsError, Storage
from papi_backup.engine.storage.sftp_wire import ConnectionLostError
from papi_backup.engine.storage.ssh_connect import SshTimeouts, connect
from papi_backup.model.errors import InvalidStorageError, PapiError, TransferError
from papi_backup.model.storage import SshStorage, StorageAccess

NAME = "data/h/n/1"
BODY = random.Random(7).randbytes(10 * 4096 + 17)


def put(storage: Storage, data: bytes = BODY) -> None:
    writer = storage.create(NAME)
    try:
        for start in range(0, len(data), 5000):
            writer.write(data[start : start + 5000])
        writer.commit()
    finally:
        writer.abort()


def whole_story(storage: Storage) -> None:
    """Everything a storage does, with the answers checked."""
    put(storage)
    assert storage.get(NAME) == BODY
    assert storage.get(NAME, 4000, 9000) == BODY[4000:13000]
    assert [(found.name, found.size) for found in storage.list("")] == [(NAME, len(BODY))]
    assert list(storage.list_children("data/")) == ["h"]
    storage.delete([NAME])
    assert list(storage.list("")) == []


def requests_of_the_whole_story() -> int:
    server = MemorySftp()
    whole_story(storage_on(server))
    return len(server.requests)


@pytest.mark.parametrize("lose", ["lose_request", "lose_reply"])
def test_a_connection_lost_at_any_single_request_changes_nothing(lose: str) -> None:
    for number in range(2, requests_of_the_whole_story() + 1):  # the first asks limits, while connecting
        server = MemorySftp(
            troubles=[Trouble(number, lose_request=lose == "lose_request", lose_reply=lose == "lose_reply")]
        )
        whole_story(storage_on(server))
        assert server.files == {}, f"left behind after request {number}: {server.requests[number - 1]}"


def test_a_server_that_is_away_for_a_while_is_waited_for() -> None:
    server = MemorySftp(troubles=[Trouble(5, "write", lose_reply=True)])
    whole_story(storage_on(server, refusals=2))


def test_many_losses_do_not_add_up_as_long_as_the_upload_gets_on() -> None:
    troubles = [Trouble(number, "write", lose_reply=True) for number in range(2, 60, 3)]
    server = MemorySftp(troubles=troubles)
    put(storage_on(server))
    assert bytes(server.files[f"/srv/base/{NAME}"]) == BODY
    assert server.requests.count("open") > PATIENCE.attempts


def test_an_upload_that_never_gets_on_is_given_up_with_4005() -> None:
    server = MemorySftp(troubles=[Trouble(number, "fsync", lose_request=True) for number in range(1, 9)])
    server.troubles += [Trouble(number, "close", lose_request=True) for number in range(1, 99)]
    with pytest.raises(TransferError, match="given up after 4 attempts"):
        put(storage_on(server))
    assert f"/srv/base/{NAME}" not in server.files


def test_a_full_disk_is_told_from_other_failures() -> None:
    server = MemorySftp(free=1000)
    with pytest.raises(InvalidStorageError, match="disk full"):
        put(storage_on(server))
    assert server.files == {}


def test_a_failure_on_a_disk_that_is_not_full_is_no_full_disk() -> None:
    server = MemorySftp(troubles=[Trouble(3, "write", status=FAILURE)])
    with pytest.raises(TransferError, match="told so"):
        put(storage_on(server))
    assert server.files == {}


def test_a_failure_without_statvfs_names_the_possible_cause() -> None:
    server = MemorySftp(free=1000, extensions=())
    with pytest.raises(TransferError, match="disk or a quota may be full"):
        put(storage_on(server))


def test_a_directory_that_may_not_be_made_is_an_error_and_leaves_nothing() -> None:
    server = MemorySftp(
        troubles=[Trouble(number, "mkdir", status=PERMISSION_DENIED) for number in range(2, 99)]
    )
    with pytest.raises(InvalidStorageError, match="making the directory"):
        put(storage_on(server))
    assert server.files == {}


def test_one_trip_closes_a_file_and_another_publishes_it() -> None:
    server = MemorySftp()
    storage = storage_on(server)
    put(storage)
    begun = server.requests.index("write")
    last_write = len(server.requests) - server.requests[::-1].index("write")
    assert server.requests[last_write:] == [
        *("extended", "close", "lstat"),
        *("mkdir", "mkdir", "mkdir", "rename", "lstat"),
    ]
    assert "fstat" not in server.requests[:begun], "a new file is not asked for its size"
    writer = storage.create(NAME + "2")
    writer.write(BODY)
    writer.commit()
    assert server.requests[-5:] == ["extended", "close", "lstat", "rename", "lstat"], "directories are known"


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (Trouble(1, "rename", status=UNSUPPORTED), InvalidStorageError),
        (Trouble(1, "rename", status=PERMISSION_DENIED), InvalidStorageError),
        (Trouble(1, "rename", status=FAILURE), InvalidStorageError),
        (Trouble(1, "open", status=PERMISSION_DENIED), InvalidStorageError),
        (Trouble(1, "close", status=FAILURE), TransferError),
        (Trouble(2, "extended", status=FAILURE), TransferError),
        (Trouble(1, "write", status=PERMISSION_DENIED), InvalidStorageError),
    ],
)
def test_a_refusal_while_writing_is_an_error_and_leaves_nothing(
    trouble: Trouble, error: type[PapiError]
) -> None:
    server = MemorySftp(troubles=[trouble])
    with pytest.raises(error):
        put(storage_on(server))
    assert server.files == {}


def test_a_server_without_a_working_rename_is_told_so() -> None:
    server = MemorySftp(troubles=[Trouble(1, "rename", status=UNSUPPORTED)])
    with pytest.raises(InvalidStorageError, match="needs a working rename"):
        put(storage_on(server))


def test_a_file_that_became_shorter_is_never_published_as_whole() -> None:
    """Write answered OK, and yet the bytes are not there: found before anyone may rely on it."""
    server = MemorySftp(shrink=3)
    with pytest.raises(TransferError, match="are there"):
        put(storage_on(server))
    assert server.files == {}
    assert "rename" not in server.requests


def test_acknowledged_data_that_is_gone_after_connecting_again_is_an_error() -> None:
    server = MemorySftp()
    storage = storage_on(server)
    writer = storage.create(NAME)
    writer.write(BODY)
    next(iter(server.files.values())).clear()
    server.troubles.append(Trouble(server.requests.count("write") + 1, "write", lose_request=True))
    with pytest.raises(TransferError, match="were acknowledged"):
        writer.write(BODY)
    writer.abort()
    assert server.files == {}


def test_a_lost_reply_to_the_rename_does_not_hide_another_object() -> None:
    """The connection breaks, and what has the name afterwards is not as long as ours."""
    server = MemorySftp(troubles=[Trouble(1, "rename", lose_request=True)])
    storage = storage_on(server)
    writer = storage.create(NAME)
    writer.write(BODY)
    server.directories |= {"/srv/base/data", "/srv/base/data/h", "/srv/base/data/h/n"}
    server.files[f"/srv/base/{NAME}"] = bytearray(b"another")
    with pytest.raises(ObjectExistsError):
        writer.commit()
    writer.abort()
    assert server.files == {f"/srv/base/{NAME}": bytearray(b"another")}


def test_a_server_that_dies_in_the_middle_of_a_rename_leaves_one_name() -> None:
    """OpenSSH renames by a link and an unlink: when it dies in between, both names are there."""
    server = MemorySftp(troubles=[Trouble(1, "rename", lose_request=True)])
    storage = storage_on(server)
    writer = storage.create(NAME)
    writer.write(BODY)
    server.directories |= {"/srv/base/data", "/srv/base/data/h", "/srv/base/data/h/n"}
    server.files[f"/srv/base/{NAME}"] = bytearray(BODY)
    writer.commit()
    assert list(server.files) == [f"/srv/base/{NAME}"]


def test_short_reads_are_completed() -> None:
    server = MemorySftp(most_read=1000)
    storage = storage_on(server)
    put(storage)
    assert storage.get(NAME) == BODY
    assert storage.get(NAME, 17, 8000) == BODY[17:8017]


@pytest.mark.parametrize("kind", ["opendir", "readdir"])
def test_a_listing_that_fails_is_an_error_and_not_a_short_list(kind: str) -> None:
    server = MemorySftp()
    storage = storage_on(server)
    put(storage)
    before = server.requests.count(kind)
    for number in range(1, 4):
        server.troubles = [Trouble(before + number, kind, status=PERMISSION_DENIED)]
        with pytest.raises(InvalidStorageError):
            list(storage.list(""))
        before = server.requests.count(kind)


def test_a_server_that_lists_without_modes_is_asked_for_them() -> None:
    whole_story(storage_on(MemorySftp(tells_modes=False)))


@pytest.mark.parametrize(
    ("base", "made"), [("/srv/new", True), ("/new", False), ("/srv/no/new", False), ("/srv/base", True)]
)
def test_only_the_last_component_of_the_base_is_made(base: str, made: bool) -> None:
    server = MemorySftp()
    storage = storage_on(server, base=base)
    if made:
        assert list(storage.list("")) == []
        put(storage)
        assert f"{base}/{NAME}" in server.files
        return
    for attempt in (lambda: put(storage), lambda: list(storage.list("")), lambda: storage.list_children("")):
        with pytest.raises(InvalidStorageError, match=f"storage_base {base} does not exist"):
            attempt()
    assert base not in server.directories


def test_a_connection_that_breaks_before_the_greeting_is_one_line_of_the_log_and_no_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def break_off() -> None:
        connection = listener.accept()[0]
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.recv(1)
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=break_off, daemon=True).start()
        port = listener.getsockname()[1]
        storage = SshStorage("ssh", "127.0.0.1", port, "nobody", 1, "/srv/backups")
        with pytest.raises(ConnectionLostError):
            connect(StorageAccess(storage, make_ssh_id(tmp_path)), SshTimeouts())
    said = [record.getMessage() for record in caplog.records if record.name == "paramiko.transport"]
    errors = [text for text in said if "reset by peer" in text]
    assert len(errors) == 1
    assert not any("Traceback" in text or "File " in text for text in said)
