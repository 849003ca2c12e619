# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A header is read before anything is authenticated: it may say anything, and only FormatError may follow."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from format_strategies import ids, mutations
from hypothesis import given
from hypothesis import strategies as st
from storage_maker import CHAIN, CHUNKER, some_header

from papi_backup.engine.format import FormatError, UnsupportedError
from papi_backup.engine.format.header import (
    MOST_SCRYPT_SLOTS,
    SUITE_ENCRYPTED,
    SUITE_RAW,
    Chunker,
    ClearSlot,
    ScryptSlot,
    build_header,
    parse_header,
)
from papi_backup.engine.format.segment import segment_cap

scrypt_slots = st.builds(
    ScryptSlot,
    salt=st.binary(min_size=16, max_size=16),
    cost=st.integers(10, 18).map(lambda bits: 1 << bits),
    wrapped=st.binary(min_size=40, max_size=40),
)
clear_slots = st.builds(ClearSlot, st.binary(min_size=32, max_size=32))


@st.composite
def chunkers(draw: st.DrawFn, file_size: int) -> Chunker:
    maximum = draw(st.integers(1024, segment_cap(file_size)))
    average = draw(st.integers(256, maximum))
    return Chunker(draw(st.integers(64, average)), average, maximum, draw(st.integers(0, 3)))


@given(
    st.data(),
    ids,
    st.integers(1 << 20, 1 << 50),
    st.lists(scrypt_slots, min_size=1, max_size=MOST_SCRYPT_SLOTS),
)
def test_an_encrypted_header_comes_back(
    data: st.DataObject, chain: str, file_size: int, slots: list[ScryptSlot]
) -> None:
    header = build_header(SUITE_ENCRYPTED, chain, file_size, data.draw(chunkers(file_size)), tuple(slots))
    assert parse_header(header.encoded) == header
    assert header.encrypted
    assert header.extendable


@given(ids, clear_slots)
def test_a_raw_header_comes_back(chain: str, slot: ClearSlot) -> None:
    header = build_header(SUITE_RAW, chain, 1 << 20, CHUNKER, (slot,))
    assert parse_header(header.encoded) == header
    assert not header.encrypted


def document(key: str = "the key") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(some_header(key).encoded)
    return found


def encoded(change: Callable[[dict[str, Any]], Any], key: str = "the key") -> bytes:
    changed = document(key)
    change(changed)
    return json.dumps(changed).encode()


def slot(**members: Any) -> Callable[[dict[str, Any]], None]:
    return lambda header: header["slots"][0].update(members)


ENCODED_32 = base64.b64encode(bytes(32)).decode()
HOSTILE: list[tuple[str, Callable[[dict[str, Any]], Any]]] = [
    ("scrypt n of a terabyte", slot(n=1 << 30)),
    ("scrypt n of nothing", slot(n=2)),
    ("scrypt n no power of two", slot(n=(1 << 16) + 1)),
    ("scrypt n a float", slot(n=65536.0)),
    ("scrypt n true", slot(n=True)),
    ("scrypt r", slot(r=1 << 20)),
    ("scrypt p", slot(p=1 << 20)),
    ("scrypt p true", slot(p=True)),
    ("scrypt salt of 15 bytes", slot(salt=base64.b64encode(bytes(15)).decode())),
    ("scrypt salt no base64", slot(salt="?" * 24)),
    ("scrypt salt not ASCII", slot(salt="\u00e9")),
    ("wrapped key too short", slot(key=ENCODED_32)),
    ("slot without type", slot(type=None)),
    ("slot no object", lambda header: header.update(slots=["scrypt"])),
    ("no slots", lambda header: header.update(slots=[])),
    ("slots an object", lambda header: header.update(slots={})),
    ("65 slots", lambda header: header.update(slots=[{"type": "later"}] * 65)),
    ("too many derivations", lambda header: header.update(slots=header["slots"] * (MOST_SCRYPT_SLOTS + 1))),
    (
        "clear key of an encrypted chain",
        lambda header: header["slots"].append({"type": "clear", "key": ENCODED_32}),
    ),
    ("raw chain without clear key", lambda header: header.update(suite=SUITE_RAW)),
    ("unhashable feature", lambda header: header.update(required=[[]])),
    ("features an object", lambda header: header.update(required={})),
    ("chain id in capitals", lambda header: header.update(chain="C0FFEE0123456789")),
    ("chain id a path", lambda header: header.update(chain="../../../../../x")),
    ("chain id with a newline", lambda header: header.update(chain=CHAIN + "\n")),
    ("suite a list", lambda header: header.update(suite=[SUITE_RAW])),
    ("version true", lambda header: header.update(format=True)),
    ("version 1.0", lambda header: header.update(format=1.0)),
    ("version 2", lambda header: header.update(format=2)),
    ("file_size too small", lambda header: header.update(file_size=(1 << 20) - 1)),
    ("file_size too large", lambda header: header.update(file_size=1 << 63)),
    ("chunks larger than segments", lambda header: header["chunker"].update(maximum=1 << 20)),
    ("chunks of no bytes", lambda header: header["chunker"].update(minimum=0)),
    ("average above maximum", lambda header: header["chunker"].update(average=1 << 20)),
    ("no chunker", lambda header: header.pop("chunker")),
]


@pytest.mark.parametrize(
    "change", [change for _name, change in HOSTILE], ids=[name for name, _change in HOSTILE]
)
def test_a_hostile_header_is_refused(change: Callable[[dict[str, Any]], Any]) -> None:
    with pytest.raises(FormatError):
        parse_header(encoded(change))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"format":1',
        b"\xff",
        '{"format":1,"suite":"\u00e9"}'.encode(),
        json.dumps({"format": 1}).encode("utf-16"),
        b'{"format":' + b"9" * 5000 + b"}",
        b"[" * 60000,
        b'{"a":' * 10000,
    ],
    ids=range(11),
)
def test_what_is_no_header_at_all_is_refused(raw: bytes) -> None:
    with pytest.raises(FormatError):
        parse_header(raw)


@given(st.data())
def test_no_header_raises_anything_but_a_format_error(data: st.DataObject) -> None:
    raw = json.dumps(data.draw(mutations(document(data.draw(st.sampled_from(["", "the key"])))))).encode()
    with contextlib.suppress(FormatError):
        parse_header(raw)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_format_error(raw: bytes) -> None:
    with pytest.raises(FormatError):
        parse_header(raw)


def test_an_unknown_slot_type_is_skipped() -> None:
    later = {"type": "x25519-later", "recipient": "somebody", "anything": [1, {}]}
    header = parse_header(encoded(lambda found: found["slots"].insert(0, later)))
    assert header.slots == some_header("the key").slots


def test_an_unknown_required_feature_is_refused_as_unsupported_and_named() -> None:
    with pytest.raises(UnsupportedError, match="holographic"):
        parse_header(encoded(lambda header: header["required"].append("holographic")))


def test_a_later_suite_is_unsupported_and_no_damage() -> None:
    with pytest.raises(UnsupportedError, match="aes-256-gcm"):
        parse_header(encoded(lambda header: header.update(suite="aes-256-gcm")))


def test_an_unknown_member_is_ignored() -> None:
    header = parse_header(encoded(lambda found: found.update(comment="of a later version")))
    assert header.slots == some_header("the key").slots


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header["required_to_extend"].append("later"),
        lambda header: header.update(chunk_id="later-128"),
        lambda header: header.update(chunker={"algorithm": "later", "window": 64}),
    ],
    ids=["feature", "chunk ids", "chunker"],
)
def test_what_only_writers_must_know_leaves_a_chain_readable(change: Callable[[dict[str, Any]], Any]) -> None:
    header = parse_header(encoded(change))
    assert not header.extendable


def test_the_bytes_of_a_header_are_kept_as_they_were() -> None:
    raw = json.dumps(document(), indent=3).encode()
    assert parse_header(raw).encoded == raw
