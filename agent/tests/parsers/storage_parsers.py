# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parsers of what a storage's server says: SFTP packets, an SSH server's offers, answers of S3 over HTTP."""

from __future__ import annotations

import struct
from collections.abc import Callable

from hostile_bytes import Parser
from hypothesis import strategies as st
from saying import SayingChannel, SayingServer

from papi_backup.engine.storage.backoff import ONCE
from papi_backup.engine.storage.bounds import ListingBound
from papi_backup.engine.storage.lean_paramiko import paramiko
from papi_backup.engine.storage.protocol import ObjectMissingError
from papi_backup.engine.storage.s3 import S3ObjectStorage
from papi_backup.engine.storage.s3_answers import S3Timeouts, root_of
from papi_backup.engine.storage.s3_place import S3Place, S3RefusalError
from papi_backup.engine.storage.sftp_listing import read_directory
from papi_backup.engine.storage.sftp_session import SftpSession
from papi_backup.engine.storage.sftp_wire import (
    ConnectionLostError,
    MalformedPacketError,
    Packet,
    Reader,
    SftpStatusError,
    string,
    uint32,
    uint64,
)
from papi_backup.engine.storage.ssh_offers import parse_offers
from papi_backup.engine.storage.whole_packets import WholePackets
from papi_backup.model.errors import PapiError, TransferError
from papi_backup.model.host_key import fingerprint, same_key, signature_algorithms
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage

_EXTENSIONS = (b"limits@openssh.com", b"statvfs@openssh.com", b"fsync@openssh.com")
_VERSION = uint32(3) + b"".join(string(name) + string(b"1") for name in _EXTENSIONS)
_ATTRIBUTES = struct.pack(">IQIIIII", 0xF, 99, 0, 0, 0o100600, 1, 2)
_EXTENDED = struct.pack(">II", 0x80000000, 1) + string(b"a") + string(b"b")
_NAMES = uint32(2) + string(b"a\xff") + string(b"long") + _ATTRIBUTES + string(b".") + string(b"") + _EXTENDED
_OK, _EOF = (uint32(code) + string(b"text") + string(b"en") for code in (0, 1))
_SPACE = struct.pack(">11Q", *range(11))
_LIMITS = struct.pack(">4Q", 1 << 18, 1 << 17, 1 << 17, 99)


def packet(kind: int, body: bytes) -> bytes:
    """Return a packet around its body, which begins with the request's number."""
    return uint32(len(body) + 1) + bytes([kind]) + body


def _answers(*bodies: tuple[Packet, bytes]) -> bytes:
    """Return a greeting and answers to requests 1, 2, 3 and so on."""
    numbered = (packet(kind, uint32(number) + body) for number, (kind, body) in enumerate(bodies, 1))
    return packet(Packet.VERSION, _VERSION) + b"".join(numbered)


_LIMITS_TOLD = (Packet.EXTENDED_REPLY, _LIMITS)
_HANDLE = (Packet.HANDLE, string(b"handle"))
_STATUS = (Packet.STATUS, _OK)
_ATTRS = (Packet.ATTRS, _ATTRIBUTES)


def _said(ask: Callable[[SftpSession], object]) -> Callable[[bytes], object]:
    return lambda data: ask(SftpSession(SayingChannel(data), ()))


def _directory(session: SftpSession) -> object:
    return read_directory(session, b"/x", ListingBound("listing"))


def _asked(session: SftpSession) -> object:
    """Ask everything that one answer ends."""
    told = session.space(b"/x"), session.stat(b"/x"), session.stat_target(b"/x"), session.stat_handle(b"h")
    session.remove(b"/x")
    return told, session.open(b"/x", 1), session.finish(b"h", b"/x"), session.publish((b"/d",), b"/a", b"/b")


_ALL_ASKED = _answers(
    _LIMITS_TOLD,
    (Packet.EXTENDED_REPLY, _SPACE),
    *(_ATTRS,) * 3,
    _STATUS,
    _HANDLE,
    *(_STATUS,) * 2,
    _ATTRS,
    *(_STATUS,) * 2,
    _ATTRS,
)
_LISTED = _answers(_LIMITS_TOLD, _HANDLE, (Packet.NAME, _NAMES), (Packet.STATUS, _EOF), _STATUS)
_bodies = st.one_of(
    st.sampled_from((_OK, _EOF, _NAMES, _ATTRIBUTES, _EXTENDED, _SPACE, _LIMITS, string(b"handle"))),
    st.binary(max_size=60),
    st.integers(0, (1 << 32) - 1).map(lambda count: uint32(count) + _NAMES[4:]),
)
_packets = st.lists(
    st.tuples(st.sampled_from(list(Packet)) | st.integers(0, 255), st.integers(0, 6), _bodies), max_size=8
).map(lambda told: b"".join(packet(kind, uint32(number) + body) for kind, number, body in told))
_conversations = st.one_of(_packets, _packets.map(lambda told: packet(Packet.VERSION, _VERSION) + told))
_in_order = st.lists(
    st.tuples(st.sampled_from((_LIMITS_TOLD, _HANDLE, _STATUS, _ATTRS, (Packet.NAME, _NAMES))), _bodies),
    max_size=12,
).map(lambda told: _answers(_LIMITS_TOLD, *((kind, body) for (kind, _body), body in told)))


def _whole_packets(data: bytes) -> None:
    """Feed the bytes in pieces and read what comes out."""
    buffer = WholePackets()
    for start in range(0, len(data), 7):
        buffer.feed(data[start : start + 7])
        while buffer.read_ready():
            buffer.read(1 << 20, 1.0)
    buffer.close()
    while buffer.read(1 << 20, 1.0):
        pass


def _host_key(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    fingerprint(text)
    same_key(text, text)
    signature_algorithms(text)


def _http(body: bytes, status: bytes = b"200 OK", *headers: bytes) -> bytes:
    lines = (b"HTTP/1.1 " + status, b"Connection: close", b"Content-Length: %d" % len(body), *headers)
    return b"\r\n".join((*lines, b"", body))


_XML = b'<?xml version="1.0" encoding="UTF-8"?>'
_TIME = b"2026-03-01T12:30:00.000Z"
_PAGE = (
    _XML
    + b'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name><Prefix>catalog/'
    b"</Prefix><KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated><Contents><Key>catalog/a"
    b"</Key><LastModified>"
    + _TIME
    + b"</LastModified><ETag>x</ETag><Size>5</Size></Contents><CommonPrefixes>"
    b"<Prefix>catalog/b/</Prefix></CommonPrefixes></ListBucketResult>"
)
_ERROR = _XML + b"<Error><Code>NoSuchKey</Code><Message>gone</Message><Resource>/a</Resource></Error>"
_STARTED = _XML + b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
_DELETED = _XML + b"<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code></Error></DeleteResult>"
_HEAD = (b"Last-Modified: Sun, 01 Mar 2026 12:30:00 GMT", b'ETag: "x"')
_HOSTILE_TEXT = st.sampled_from(
    (
        b"",
        b"-1",
        b"true",
        b"1e400",
        b"9" * 30,
        b"9" * 5000,
        b"\xff",
        b"&#0;",
        b"&#xD800;",
        b"&lt;",
        b"%00",
        b"%ff",
        b"9999-12-31T23:59:59-14:00",
        b"0001-01-01T00:00:00+14:00",
        b"1e300",
        b"nan",
        b"<a/>",
        b"<Key>a</Key>",
        b"catalog/",
    )
)
_TOLD = (
    b"false",
    b"1000",
    b"2",
    b"5",
    b"catalog/a",
    b"catalog/b/",
    _TIME,
    b"NoSuchKey",
    b"gone",
    b"u",
    b"AccessDenied",
)
_bodies_of_s3 = st.builds(
    lambda body, old, new: body.replace(b">" + old + b"<", b">" + new + b"<"),
    st.sampled_from((_PAGE, _PAGE, _PAGE, _ERROR, _STARTED, _DELETED)),
    st.sampled_from(_TOLD),
    _HOSTILE_TEXT,
)
_statuses = st.sampled_from(
    (
        b"200 OK",
        b"200 OK",
        b"200 OK",
        b"206 Partial Content",
        b"204 Nothing",
        b"301 Moved",
        b"307 Elsewhere",
        b"403 No",
        b"404 Not Found",
        b"412 No",
        b"416 No",
        b"500 Broken",
        b"503 SlowDown",
        b"999 ?",
        b"101 ?",
    )
)
_headers = st.lists(
    st.tuples(
        st.sampled_from(
            (
                b"Last-Modified",
                b"Content-Range",
                b"ETag",
                b"Content-Length",
                b"Transfer-Encoding",
                b"Content-Encoding",
                b"Location",
                b"x-amz-bucket-region",
                b"x-amz-meta-a",
                b"Retry-After",
                b"x-amz-checksum-sha256",
                b"Expires",
            )
        ),
        _HOSTILE_TEXT
        | st.sampled_from(
            (b"chunked", b"gzip", b"bytes 0-4/5", b"Sun, 01 Mar 2026 12:30:00 GMT", b"\xe4", b"eu-1")
        ),
    ).map(b": ".join),
    max_size=3,
)
_spoken = st.builds(
    lambda body, status, headers: _http(body, status, *headers), _bodies_of_s3, _statuses, _headers
)
_SERVER = SayingServer()
_ACCESS = S3Storage("s3", "AK", Secret("SK"), "bucket", 8, _SERVER.url, "us-east-1")
_TIMEOUTS = S3Timeouts(5, 5, 1, 5)
_S3 = S3ObjectStorage(_ACCESS, _TIMEOUTS, ONCE)
_PLACE = S3Place(_ACCESS, _TIMEOUTS)


def _s3(ask: Callable[[], object]) -> Callable[[bytes], object]:
    def parse(data: bytes) -> object:
        _S3.close()  # or a connection that the server has hung up on would be used again
        _PLACE.close()
        _SERVER.says(data)
        return ask()

    return parse


def _multipart() -> None:
    _PLACE.call("create_multipart_upload", "starting", Key="a")
    parts = {"Parts": [{"PartNumber": 1, "ETag": "x"}]}
    _PLACE.call("complete_multipart_upload", "completing", Key="a", UploadId="u", MultipartUpload=parts)


_broken = (ConnectionLostError, SftpStatusError)
_storage = (PapiError, ObjectMissingError)
_wire: tuple[tuple[str, Callable[[bytes], object], bytes], ...] = (
    ("attributes", lambda data: Reader(data).attributes(), _ATTRIBUTES),
    ("extended attributes", lambda data: Reader(data).attributes(), _EXTENDED),
    ("status", lambda data: Reader(data).status(), _OK),
    ("names", lambda data: Reader(data).names(), _NAMES),
    ("space", lambda data: Reader(data).space(), _SPACE),
    ("limits", lambda data: Reader(data).limits(), _LIMITS),
    ("content", lambda data: Reader(data).view(), string(b"content")),
    ("numbers", lambda data: (Reader(data).uint32(), Reader(data).uint64(), Reader(data).at_end), uint64(7)),
)
STORAGE_PARSERS = (
    *(
        Parser(f"SFTP {name}", parse, (honest,), _bodies, (MalformedPacketError,))
        for name, parse, honest in _wire
    ),
    Parser("SFTP session", _said(_asked), (_ALL_ASKED,), _conversations | _in_order, _broken),
    Parser(
        "SFTP directory", _said(_directory), (_LISTED,), _conversations | _in_order, (*_broken, TransferError)
    ),
    Parser("stream of SFTP packets", _whole_packets, (_ALL_ASKED,), _conversations, (paramiko.SSHException,)),
    Parser(
        "offers of an SSH server",
        parse_offers,
        (bytes([0, 20]) + bytes(16) + b"".join(string(b"a,b") for _list in range(10)),),
        st.lists(st.binary(max_size=9).map(string), max_size=11).map(
            lambda told: b"\0\x14" + bytes(16) + b"".join(told)
        ),
        (ValueError,),
    ),
    Parser(
        "host key",
        _host_key,
        (b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMq comment",),
        st.text().map(lambda text: text.encode("utf-8", "ignore")),
        (),
    ),
    Parser("root of XML", root_of, (_PAGE, _ERROR), _bodies_of_s3, ()),
    Parser("S3 listing", _s3(lambda: list(_S3.list("catalog/"))), (_http(_PAGE),), _spoken, _storage),
    Parser("S3 children", _s3(lambda: _S3.list_children("catalog/")), (_http(_PAGE),), _spoken, _storage),
    Parser("S3 bucket", _s3(_S3.open), (_http(_PAGE),), _spoken, _storage),
    Parser("S3 head", _s3(lambda: _S3.stat("a")), (_http(b"", b"200 OK", *_HEAD),), _spoken, _storage),
    Parser(
        "S3 object",
        _s3(lambda: _S3.get("a", 0, 5)),
        (_http(b"hello", b"206 Partial", b"Content-Range: bytes 0-4/9"),),
        _spoken,
        _storage,
    ),
    Parser(
        "S3 deletion", _s3(lambda: _S3.delete(["a"])), (_http(_XML + b"<DeleteResult/>"),), _spoken, _storage
    ),
    Parser("S3 upload in parts", _s3(_multipart), (_http(_STARTED),), _spoken, (PapiError, S3RefusalError)),
)
