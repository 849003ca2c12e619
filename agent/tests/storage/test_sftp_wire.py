# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SFTP packets and host keys as bytes: any answer parses or is refused, none hangs or crashes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from papi_backup.engine.storage.names import ancestors, checked_name, checked_prefix, temporary_name
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
    write_header,
)
from papi_backup.model.host_key import fingerprint, same_key, signature_algorithms

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.binary())
def test_fields_come_back_as_they_were_packed(small: int, large: int, text: bytes) -> None:
    reader = Reader(uint32(small) + uint64(large) + string(text))
    assert (reader.uint32(), reader.uint64(), reader.string()) == (small, large, text)
    assert reader.at_end


@given(st.integers(0, 2**32 - 1), st.binary(max_size=256), st.integers(0, 2**63), st.binary(max_size=300))
def test_a_write_packet_says_its_own_length(request: int, handle: bytes, offset: int, data: bytes) -> None:
    packet = write_header(request, handle, offset, len(data)) + data
    assert int.from_bytes(packet[:4], "big") == len(packet) - 4
    assert packet[4] == Packet.WRITE
    reader = Reader(packet, 5)
    assert (reader.uint32(), reader.string(), reader.uint64(), reader.string()) == (
        request,
        handle,
        offset,
        data,
    )


@given(st.binary(max_size=200))
def test_bytes_that_are_no_packet_are_refused_as_such(data: bytes) -> None:
    for parse in ("attributes", "names", "status", "space", "limits", "string", "uint64"):
        try:
            getattr(Reader(data), parse)()
        except MalformedPacketError:
            continue


class Saying:
    """A server that says what it is told to, and then hangs up."""

    def __init__(self, answers: bytes) -> None:
        self._answers = answers

    def send(self, data: memoryview) -> int:
        return len(data)

    def recv(self, size: int) -> bytes:
        part, self._answers = self._answers[:size], self._answers[size:]
        return part

    def recv_ready(self) -> bool:
        return bool(self._answers)


VERSION = struct.pack(">IBI", 5, 2, 3)


@given(st.binary(max_size=100))
def test_a_server_that_says_nonsense_is_a_lost_connection_and_nothing_else(nonsense: bytes) -> None:
    for answers in (nonsense, VERSION + nonsense):
        try:
            SftpSession(Saying(answers), ()).stat(b"/x")
        except (ConnectionLostError, SftpStatusError):
            continue


@pytest.mark.parametrize(
    "answer", [b"", struct.pack(">IBI", 5, 2, 2), struct.pack(">IB", 1 << 30, 2), b"SSH-2.0-x\r\n"]
)
def test_what_is_not_sftp_version_3_is_refused(answer: bytes) -> None:
    with pytest.raises(ConnectionLostError):
        SftpSession(Saying(answer), ())


def test_a_fingerprint_is_what_openssh_shows() -> None:
    assert fingerprint(HOST_KEY) == "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"
    assert fingerprint(HOST_KEY + " comment") == fingerprint(HOST_KEY)


@pytest.mark.parametrize(
    "text",
    ["", "ssh-ed25519", "ssh-ed25519 !!!", "   ", "ssh-ed25519 \xe4\xe4\xe4\xe4", "ssh-ed25519 \udc80"],
)
def test_what_is_no_key_has_no_fingerprint(text: str) -> None:
    assert fingerprint(text) == "(not a key)"
    assert not same_key(text, HOST_KEY)


def test_an_rsa_key_is_proved_with_the_newer_signatures() -> None:
    assert signature_algorithms("ssh-rsa AAAA") == ("rsa-sha2-512", "rsa-sha2-256")
    assert signature_algorithms(HOST_KEY) == ("ssh-ed25519",)


def test_names_know_their_directories() -> None:
    assert list(ancestors("a/b/c")) == ["a/b", "a"]
    assert list(ancestors("a")) == []
    assert checked_prefix("a/b/") == "a/b/"
    assert checked_prefix("") == ""
    assert len({temporary_name() for unused in range(100)}) == 100


@given(st.lists(st.text(st.characters(codec="ascii", exclude_characters="/\0")), min_size=1, max_size=4))
def test_no_name_leads_out_of_the_base(parts: list[str]) -> None:
    name = "/".join(parts)
    try:
        assert checked_name(name) == name
    except ValueError:
        assert {"", ".", ".."} & set(parts) or parts[0] == "tmp"
    else:
        assert not {"", ".", ".."} & set(parts)
