# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server sends has bounds, whatever was claimed: memory is measured, and there are words for it."""

from __future__ import annotations

import itertools
import socket
import struct
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from realparts.memory_sftp import MemoryChannel, MemorySftp, StatusError
from realparts.memory_storage import PATIENCE
from realparts.pytest_fixtures import make_ssh_id

from papi_backup.engine.storage import bounds
from papi_backup.engine.storage.backoff import ONCE
from papi_backup.engine.storage.bounds import ListingBound
from papi_backup.engine.storage.lean_paramiko import paramiko
from papi_backup.engine.storage.protocol import Storage
from papi_backup.engine.storage.retrying import RetryingStorage
from papi_backup.engine.storage.s3 import S3ObjectStorage
from papi_backup.engine.storage.s3_answers import S3Timeouts, root_of
from papi_backup.engine.storage.sftp import SftpStorage
from papi_backup.engine.storage.sftp_session import SftpSession
from papi_backup.engine.storage.ssh_connect import SshTimeouts, connect
from papi_backup.engine.storage.whole_packets import MOST_WAITING, WholePackets
from papi_backup.engine.storage.whole_packets import PATIENCE as PACKET_PATIENCE
from papi_backup.model.errors import InvalidStorageError, PapiError, TransferError
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage, SshStorage, StorageAccess

MEBIBYTE = 1 << 20
NAME = "catalog/h/n/object"
PIECE = bytes(MEBIBYTE)
XML = b'<?xml version="1.0" encoding="UTF-8"?>'
Body = Iterator[bytes]
Answer = tuple[int, dict[str, str], Body]
ENDLESS = 64
"""Mebibytes after which a server's answer ends all the same: enough to see that nobody waits for the end."""


def peak_of(call: Callable[[], object], wanted: type[PapiError], told: str) -> float:
    """Return how many mebibytes were in use at most while ``call`` failed as it should."""
    tracemalloc.start()
    try:
        with pytest.raises(wanted, match=told):
            call()
        return tracemalloc.get_traced_memory()[1] / MEBIBYTE
    finally:
        tracemalloc.stop()


# -- one place for all ---------------------------------------------------------------------------


def test_a_listing_ends_by_its_entries_its_names_and_its_time() -> None:
    bound = ListingBound("listing x")
    bound.take(["n"] * bounds.MOST_ENTRIES)
    with pytest.raises(TransferError, match="listing x: given up after 500000 entries"):
        bound.take(["n"])
    with pytest.raises(TransferError, match="64 MiB of names"):
        ListingBound("listing x").take(["n" * (bounds.MOST_NAME_BYTES + 1)])
    now = itertools.count(0.0, bounds.LISTING_SECONDS * 0.6)
    slow = ListingBound("listing x", lambda: next(now))
    slow.take(["n"])
    with pytest.raises(TransferError, match="given up after 900 s"):
        slow.take(["n"])


def test_answers_that_bring_nothing_have_an_end_too() -> None:
    bound = ListingBound("listing x")
    for _answer in range(bounds.MOST_ENTRIES // bounds.EMPTY_ANSWER):
        bound.take([])
    with pytest.raises(TransferError):
        bound.take([])


# -- S3 ------------------------------------------------------------------------------------------


@contextmanager
def s3_that(answer: Callable[[str, str], Answer], seconds: float = 5.0) -> Iterator[S3ObjectStorage]:
    """Yield a storage on a server that answers each (method, target) so, chunk by chunk."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_details: object) -> None:
            """Be silent."""

        def _serve(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, body = answer(self.command, self.path)
            self.send_response(status)
            for name, value in {"Transfer-Encoding": "chunked", **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                for piece in body:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.write(b"0\r\n\r\n")
            except OSError:
                self.close_connection = True

        do_GET = do_PUT = do_POST = do_DELETE = _serve

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    entry = S3Storage("s3", "AK", Secret("SK"), "bucket", 8, url, "us-east-1")
    try:
        yield S3ObjectStorage(entry, S3Timeouts(seconds, seconds, 1, seconds), ONCE)
    finally:
        server.shutdown()
        server.server_close()


def page(entries: bytes, token: str = "") -> bytes:
    more = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    said = f"<IsTruncated>{'true' if token else 'false'}</IsTruncated>{more}"
    return XML + b"<ListBucketResult>" + said.encode() + entries + b"</ListBucketResult>"


def endless() -> Body:
    return itertools.repeat(PIECE, ENDLESS)


def read(storage: Storage) -> object:
    return storage.get(NAME, 0, 500)


def lists(storage: Storage) -> object:
    return list(storage.list(""))


def removes(storage: Storage) -> object:
    return storage.delete([NAME])


RANGE = {"Content-Range": "bytes 0-499/500"}
SENDS = {
    "an object without end": (read, 206, RANGE, endless, "more than the 500 bytes"),
    "a list without end": (lists, 200, {}, lambda: itertools.chain([XML + b"<L>"], endless()), "4096 KiB"),
    "a list of many elements": (lists, 200, {}, lambda: [page(b"<C/>" * 100_000)], "no answer of an S3"),
    "a list that is nested": (lists, 200, {}, lambda: [page(b"<a>" * 99_999)], "no answer of an S3"),
    "entities": (
        lists,
        200,
        {},
        lambda: [XML + b'<!DOCTYPE a [<!ENTITY e "%s">]><a>&e;</a>' % (b"e" * MEBIBYTE)],
        "no answer of an S3",
    ),
    "a token without end": (lists, 200, {}, lambda: [page(b"", "t" * MEBIBYTE)], "in a circle"),
    "an answer to a deletion without end": (removes, 200, {}, endless, "4096 KiB"),
    "an error without end": (read, 403, {}, lambda: itertools.chain([XML + b"<Error>"], endless()), "64 KiB"),
}


@pytest.mark.parametrize("what", SENDS)
def test_an_s3_server_cannot_fill_the_memory_with(what: str) -> None:
    call, status, headers, body, told = SENDS[what]
    with s3_that(lambda _method, _target: (status, headers, iter(body()))) as storage:
        assert peak_of(lambda: call(storage), TransferError, told) < 24


def test_an_s3_list_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MOST_ENTRIES", 25_000)
    tokens = itertools.count()
    with s3_that(lambda *_request: (200, {}, iter([page(b"", f"t{next(tokens)}")]))) as storage:
        assert peak_of(lambda: lists(storage), TransferError, "given up after 25000 entries") < 24
    assert next(tokens) == 26


def test_an_answer_that_trickles_is_given_up_in_time() -> None:
    def trickle() -> Body:
        for _second in range(100):
            yield b" "
            time.sleep(0.1)

    with s3_that(lambda *_request: (200, {}, trickle()), seconds=0.5) as storage:
        begun = time.monotonic()
        with pytest.raises(TransferError, match="too slowly"):
            lists(storage)
        assert time.monotonic() - begun < 3


def test_a_server_that_knows_no_ranges_gives_the_right_part_without_all_of_it_in_memory() -> None:
    whole = b"".join(number.to_bytes(4, "big") for number in range(1 << 19))

    def body() -> Body:
        return (whole[start : start + 100_000] for start in range(0, len(whole), 100_000))

    with s3_that(lambda *_request: (200, {}, body())) as storage:
        assert storage.get(NAME, 1 << 20, 8) == whole[1 << 20 : (1 << 20) + 8]
        assert storage.get(NAME, len(whole) - 3, 8) == whole[-3:]
        assert storage.get(NAME, len(whole), 8) == b""
        assert storage.get(NAME) == whole


@pytest.mark.parametrize(
    "body",
    [XML + b"<Error>" + b"<a>" * 5000 + b"</a>" * 5000 + b"</Error>", b"<html><Error>x</Error></html>"],
)
def test_an_error_that_is_none_of_s3_leaves_its_status(body: bytes) -> None:
    with (
        s3_that(lambda *_request: (403, {}, iter([body]))) as storage,
        pytest.raises(PapiError, match="HTTP 403"),
    ):
        read(storage)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (b"<Contents><Size>1</Size><LastModified>2023-11-14T22:13:20Z</LastModified></Contents>", "lacks"),
        (b"<Contents><Key>k</Key><LastModified>2023-11-14T22:13:20Z</LastModified></Contents>", "lacks"),
        (b"<Contents><Key>k</Key><Size>1</Size></Contents>", "lacks"),
        (b"<Contents><Key>k</Key><Size>one</Size></Contents>", "makes no sense"),
        (
            b"<Contents><Key>k</Key><Size>1</Size><LastModified>x</LastModified></Contents>",
            "makes no sense",
        ),
    ],
)
def test_an_entry_without_its_key_size_or_time_is_refused(entry: bytes, told: str) -> None:
    with (
        s3_that(lambda *_request: (200, {}, iter([page(entry)]))) as storage,
        pytest.raises(TransferError, match=told),
    ):
        lists(storage)


@pytest.mark.parametrize("status", [200, 400, 403, 404])
@pytest.mark.parametrize("code", [b"<Code><x/></Code>", b"<Code>a</Code><Code>b</Code>"])
def test_an_error_whose_code_is_no_text_is_none_of_s3(status: int, code: bytes) -> None:
    body = XML + b"<Error>" + code + b"<Message>m</Message></Error>"
    told = "no answer of an S3 server" if status == 200 else f"HTTP {status}"
    with s3_that(lambda *_request: (status, {}, iter([body]))) as storage:
        for call in (lists, removes):
            with pytest.raises(PapiError, match=told):
                call(storage)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirection_is_refused_with_its_aim(status: int) -> None:
    where = {"Location": "https://storage.example/bucket"}
    with s3_that(lambda *_request: (status, where, iter([b"<html><h1>Moved</h1></html>"]))) as storage:
        for call in (lists, read, removes, lambda storage: storage.open()):
            with pytest.raises(InvalidStorageError, match=r"redirects to 'https://storage\.example/bucket'"):
                call(storage)


@pytest.mark.parametrize("text", [b"<html>welcome</html>", b"<!DOCTYPE html><p>welcome", b"welcome", b"{}"])
def test_a_web_page_is_no_storage(text: bytes) -> None:
    with s3_that(lambda *_request: (200, {"Content-Type": "text/html"}, iter([text]))) as storage:
        with pytest.raises(InvalidStorageError, match="'text/html', which is no answer of an S3 server"):
            storage.open()
        for call in (lists, removes):
            with pytest.raises(TransferError, match="no answer of an S3 server"):
                call(storage)


@pytest.mark.parametrize("status", [503, 429])
def test_a_server_that_throttles_at_the_first_request_is_waited_for(status: int) -> None:
    answers = [(status, page(b"")), (status, page(b"")), (200, page(b""))]

    def answer(*_request: str) -> Answer:
        code, body = answers.pop(0)
        return code, {}, iter([body])

    with s3_that(answer) as storage:
        RetryingStorage(storage, PATIENCE).open()
    assert answers == []


def test_only_fewer_entries_than_announced_are_refused() -> None:
    prefixes = b"<CommonPrefixes><Prefix>catalog/h/</Prefix></CommonPrefixes>"
    for count, passes in ((0, True), (1, True), (2, False)):
        body = page(b"<KeyCount>%d</KeyCount>" % count + prefixes)
        with s3_that(lambda *_request, body=body: (200, {}, iter([body]))) as storage:
            if passes:
                assert storage.list_children("catalog/") == ["h"]
                continue
            with pytest.raises(TransferError, match="2 entries announced, 1 there"):
                storage.list_children("catalog/")


def test_the_root_of_an_answer_is_found_with_and_without_a_name_space() -> None:
    assert root_of(b'<a:Error xmlns:a="x"/>') == root_of(XML + b"<!-- c --><Error/>") == "Error"
    assert root_of(b"") == root_of(b"<a>") == root_of(b'<?xml version="1.0" encoding="none"?><a/>') == ""


# -- SFTP ----------------------------------------------------------------------------------------


def string(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


class Hostile(MemoryChannel):
    """A server that answers reads and listings as it likes."""

    def __init__(self, data: Callable[[int], bytes], names: Sequence[bytes]) -> None:
        server = MemorySftp()
        server.files["/srv/base/f"] = bytearray(MEBIBYTE)
        super().__init__(server)
        self._data = data
        self._names = struct.pack(">I", len(names)) + b"".join(
            string(name) + string(b"") + struct.pack(">IQ", 1, 5) for name in names
        )

    def _read(self, fields):
        fields.string()
        fields.uint64()
        data = self._data(fields.uint32())
        if not data:
            raise StatusError(1)
        return 103, string(data)

    def _readdir(self, fields):
        del fields
        return 104, self._names


class Connected:
    host_key = "ssh-ed25519 AAAA"

    def __init__(self, channel: MemoryChannel) -> None:
        self.session = SftpSession(channel, ())

    def close(self) -> None:
        """Nothing to end."""


def sftp_that(data: Callable[[int], bytes] = bytes, names: Sequence[bytes] = ()) -> Storage:
    entry = SshStorage("s", "memory", 22, "u", 1, "/srv/base")
    storage = SftpStorage(
        StorageAccess(entry), retry=ONCE, connector=lambda *_details: Connected(Hostile(data, names))
    )
    storage.open()
    return RetryingStorage(storage, PATIENCE)


MANY = [b"%06d" % number for number in range(2_000)]
SFTP_SENDS = {
    "more than was asked for": (sftp_that(lambda size: bytes(size + 5)), "f", "sent 505 bytes where 500"),
    "crumbs": (sftp_that(lambda _size: b"x"), "f", "a few bytes each"),
    "entries without end": (sftp_that(names=MANY), "", "given up after 25000 entries"),
    "lists without entries": (sftp_that(), "", "given up after 25000 entries"),
    "long names": (sftp_that(names=[b"n" * 200_000] * 10), "", "64 MiB of names"),
    "a packet that is none": (sftp_that(names=[b"n" * (5 << 20)]), "", "a packet of"),
}


@pytest.mark.parametrize("what", SFTP_SENDS)
def test_an_sftp_server_cannot_fill_the_memory_with(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MOST_ENTRIES", 25_000)  # what each entry takes is the same, up to any number
    storage, name, told = SFTP_SENDS[what]
    length = 500 if what.startswith("more") else MEBIBYTE // 4

    def call() -> object:
        return storage.get(name, 0, length) if name else list(storage.list(""))

    assert peak_of(call, TransferError, told) < 200


def test_a_directory_whose_name_is_no_utf8_is_listed_like_any_other() -> None:
    server = MemorySftp()
    server.directories.add("/srv/base/d")

    class Renaming(MemoryChannel):
        """Tells another name of the directory than the one it has."""

        def _readdir(self, fields):
            kind, body = super()._readdir(fields)
            return kind, body.replace(string(b"d"), string(b"\xff"))

        def _opendir(self, fields):
            asked.append(fields.string())
            return self._handle("/srv/base", ["/srv/base/d"] if len(asked) == 1 else [])

    asked: list[bytes] = []
    entry = SshStorage("s", "memory", 22, "u", 1, "/srv/base")
    storage = SftpStorage(
        StorageAccess(entry), retry=ONCE, connector=lambda *_details: Connected(Renaming(server))
    )
    storage.open()
    assert list(storage.list("")) == []
    assert asked == [b"/srv/base", b"/srv/base/\xff"]


def test_a_server_that_sends_more_than_its_window_is_broken_off() -> None:
    pipe = WholePackets()
    with pytest.raises(paramiko.SSHException, match="more than its window"):
        for _piece in range(MOST_WAITING // MEBIBYTE + 1):
            pipe.feed(string(PIECE))


def test_a_packet_that_trickles_is_waited_for_only_so_long() -> None:
    pipe = WholePackets()
    ended = threading.Event()

    def trickle() -> None:
        pipe.feed((1000).to_bytes(4, "big"))
        while not ended.wait(0.02):
            pipe.feed(b"x")

    threading.Thread(target=trickle, daemon=True).start()
    begun = time.monotonic()
    with pytest.raises(paramiko.buffered_pipe.PipeTimeout):
        pipe.read(MEBIBYTE, 0.08)
    ended.set()
    assert 0.6 < time.monotonic() - begun < 0.08 * PACKET_PATIENCE + 2


def test_an_ssh_packet_of_any_announced_length_is_refused(tmp_path: Path) -> None:
    def serve(listener: socket.socket) -> None:
        connection = listener.accept()[0]
        with connection:
            try:
                connection.sendall(b"SSH-2.0-hostile\r\n" + ((1 << 30) + 4).to_bytes(4, "big"))
                for piece in endless():
                    connection.sendall(piece)
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        entry = SshStorage("s", "127.0.0.1", listener.getsockname()[1], "u", 1, "/srv/base")
        storage = SftpStorage(
            StorageAccess(entry, make_ssh_id(tmp_path)), SshTimeouts(5, 5, 5, 5), ONCE, connect
        )
        assert peak_of(storage.open, TransferError, "an SSH packet of") < 24
