# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests come back as written; hostile ones end in FormatError."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from format_strategies import LARGEST, ids, mutations, page_refs, volume_tables
from hypothesis import given
from hypothesis import strategies as st

from papi_backup.engine.format import FormatError, UnsupportedError
from papi_backup.engine.format.header import LARGEST_HEADER
from papi_backup.engine.format.manifest import (
    LARGEST_BODY,
    MAGIC,
    Manifest,
    Parent,
    Totals,
    decode_body,
    encode_body,
    preamble,
    split_manifest,
)
from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.errors import InvalidParameterError

counts = st.integers(0, LARGEST)
manifests = st.builds(
    Manifest,
    host_name=st.text(max_size=9),
    backup_name=st.text(max_size=9),
    backup_type=st.sampled_from(["full", "inc"]),
    date=st.text(max_size=20),
    chain=ids,
    backup=ids,
    instance=ids,
    sequence=counts,
    scan_started_ns=st.integers(-(10**18), 1 << 70),
    paths=st.lists(st.binary(max_size=9), max_size=3).map(tuple),
    excludes=st.lists(st.binary(max_size=9), max_size=3).map(tuple),
    root=st.none() | page_refs(),
    volumes=volume_tables,
    volume_pages=st.lists(page_refs(), max_size=2).map(tuple),
    parent=st.none() | st.builds(Parent, ids, st.binary(min_size=32, max_size=32)),
    totals=st.builds(Totals, *[counts] * len(Totals.__slots__)),
    agent_version=st.text(max_size=9),
)
PLAIN = Manifest(
    host_name="Host.example",
    backup_name="etc",
    backup_type="full",
    date="2026-03-01T12:30:00Z",
    chain="c" * 16,
    backup="b" * 16,
    instance="a" * 16,
    sequence=0,
    scan_started_ns=0,
    paths=(b"etc",),
    excludes=(),
    root=None,
    volumes=(),
)
NAMED = CatalogEntry(
    host_name="host.example",
    backup_name="etc",
    date=datetime(2026, 3, 1, 12, 30, tzinfo=UTC),
    backup_type="full",
    encrypted=True,
    chain="c" * 16,
    backup="b" * 16,
    instance="a" * 16,
    manifest_size=9,
    path="",
)


@given(manifests)
def test_a_manifest_comes_back(manifest: Manifest) -> None:
    assert decode_body(encode_body(manifest)) == manifest


@given(st.data())
def test_no_mutated_manifest_raises_anything_but_a_format_error(data: st.DataObject) -> None:
    document = json.loads(encode_body(data.draw(manifests)))
    with contextlib.suppress(FormatError):
        decode_body(json.dumps(data.draw(mutations(document))).encode())


@given(st.binary(max_size=200), st.binary(max_size=50))
def test_a_manifest_is_split_where_it_was_joined(header: bytes, sealed: bytes) -> None:
    before = preamble(header)
    assert split_manifest(before + sealed) == (header, before, sealed)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        MAGIC,
        MAGIC + bytes(3),
        b"PAPIBKP2" + bytes(4),
        MAGIC + (1).to_bytes(4, "big"),
        MAGIC + (LARGEST_HEADER + 1).to_bytes(4, "big") + bytes(LARGEST_HEADER + 1),
        MAGIC + b"\xff\xff\xff\xff" + bytes(100),
    ],
    ids=range(7),
)
def test_what_does_not_begin_like_a_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        split_manifest(data)


def changed(change: Callable[[dict[str, Any]], Any]) -> bytes:
    document = json.loads(encode_body(PLAIN))
    change(document)
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.update(format=True),
        lambda body: body.update(required=[[]]),
        lambda body: body.update(chain="../../../../../a"),
        lambda body: body.update(backup="b" * 15),
        lambda body: body.update(type=["full"]),
        lambda body: body.update(type="differential"),
        lambda body: body.update(sequence=-1),
        lambda body: body.update(sequence=1 << 63),
        lambda body: body.update(paths="etc"),
        lambda body: body.update(paths=["\ud800"]),
        lambda body: body.update(root=[]),
        lambda body: body.update(root=[0, 0, 1]),
        lambda body: body.update(parent=["b" * 16]),
        lambda body: body.update(parent=["b" * 16, "00" * 31]),
        lambda body: body.update(parent=["b" * 16, " 0" * 32]),
        lambda body: body.update(totals=[]),
        lambda body: body.update(totals={"files": -1}),
        lambda body: body.update(volume_pages={}),
        lambda body: body.pop("agent"),
    ],
    ids=range(19),
)
def test_a_hostile_manifest_is_refused(change: Callable[[dict[str, Any]], Any]) -> None:
    with pytest.raises(FormatError):
        decode_body(changed(change))


@pytest.mark.parametrize(
    "change", [lambda body: body.update(format=2), lambda body: body["required"].append("later")]
)
def test_a_later_manifest_is_unsupported_and_no_damage(change: Callable[[dict[str, Any]], Any]) -> None:
    with pytest.raises(UnsupportedError):
        decode_body(changed(change))


def test_members_of_a_later_version_are_ignored() -> None:
    assert decode_body(changed(lambda body: body.update(later=[{}]))) == PLAIN
    assert decode_body(changed(lambda body: body["totals"].update(later=7))) == PLAIN


def test_a_body_belongs_to_the_name_that_says_the_same() -> None:
    assert PLAIN.belongs_to(NAMED)


@pytest.mark.parametrize(
    "members",
    [
        {"host_name": "other.example"},
        {"backup_name": "srv"},
        {"backup_type": "inc"},
        {"date": "2026-03-01T12:30:01Z"},
        {"chain": "d" * 16},
        {"backup": "d" * 16},
        {"instance": "d" * 16},
    ],
    ids=lambda members: next(iter(members)),
)
def test_a_body_that_says_otherwise_belongs_to_another_name(members: dict[str, Any]) -> None:
    assert not replace(PLAIN, **members).belongs_to(NAMED)


def test_a_manifest_longer_than_readers_take_is_not_written() -> None:
    with pytest.raises(InvalidParameterError, match="excludes"):
        encode_body(replace(PLAIN, excludes=(b"x" * LARGEST_BODY,)))
