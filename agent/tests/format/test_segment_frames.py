# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames, padding, and what a MAC binds."""

from __future__ import annotations

import contextlib
import struct
import tracemalloc
from typing import Any

import pytest
import zstandard
from format_strategies import LARGEST, ids
from hypothesis import given
from hypothesis import strategies as st

from papi_backup.engine.compression import SegmentDecompressor
from papi_backup.engine.format import FormatError
from papi_backup.engine.format.segment import (
    BLOCK,
    FRAME,
    LARGEST_SEALED,
    LARGEST_SEGMENT,
    STORED,
    ZSTD,
    SegmentContext,
    build_frame,
    frame_size,
    length_prefixed,
    padme,
    parse_frame,
    sealed_size,
    segment_cap,
)
from papi_backup.model.sizes import MEBIBYTE

sizes = st.integers(0, LARGEST_SEGMENT)


@given(st.binary(max_size=200), st.booleans())
def test_a_stored_frame_comes_back(payload: bytes, hide_size: bool) -> None:
    frame = parse_frame(
        b"".join(build_frame(STORED, len(payload), payload, hide_size=hide_size)), LARGEST_SEGMENT
    )
    assert (frame.codec, frame.raw_size, bytes(frame.payload)) == (STORED, len(payload), payload)


@given(st.binary(max_size=200), sizes)
def test_a_compressed_frame_comes_back(payload: bytes, raw_size: int) -> None:
    frame = parse_frame(b"".join(build_frame(ZSTD, raw_size, payload, hide_size=True)), LARGEST_SEGMENT)
    assert (frame.codec, frame.raw_size, bytes(frame.payload)) == (ZSTD, raw_size, payload)


@given(sizes, st.booleans())
def test_a_frame_is_whole_blocks_and_at_most_12_percent_longer(payload: int, hide_size: bool) -> None:
    size = frame_size(payload, hide_size=hide_size)
    assert size % BLOCK == 0
    assert FRAME.size + payload <= size <= FRAME.size + payload * 1.12 + BLOCK


@given(sizes)
def test_padme_rounds_up_and_is_stable(length: int) -> None:
    assert length <= padme(length) <= max(length * 1.12, 2)
    assert padme(padme(length)) == padme(length)


@given(sizes, sizes)
def test_padme_keeps_order(one: int, other: int) -> None:
    assert (padme(one) <= padme(other)) if one <= other else (padme(one) >= padme(other))


def test_padme_leaves_few_sizes() -> None:
    assert len({padme(length) for length in range(1 << 16, 1 << 17)}) == 33


@pytest.mark.parametrize(
    ("length", "padded"),
    [(0, 0), (1, 1), (9, 10), (100, 104), (1000, 1024), (65537, 67584), (1_000_000, 1_015_808)],
)
def test_padme_is_as_published(length: int, padded: int) -> None:
    assert padme(length) == padded


@given(st.integers(MEBIBYTE, 8 * MEBIBYTE), st.booleans())
def test_the_largest_segment_fits_into_the_smallest_file_however_padded(
    file_size: int, encrypted: bool
) -> None:
    frame = frame_size(segment_cap(file_size), hide_size=True)
    assert sealed_size(frame, encrypted=encrypted) <= min(file_size, LARGEST_SEALED)


@pytest.mark.parametrize("mebibytes", [1, 2, 3, 4, 5, 32, 64])
def test_the_segment_cap_is_as_designed(mebibytes: int) -> None:
    assert segment_cap(mebibytes * MEBIBYTE) == min(4 * MEBIBYTE, mebibytes * MEBIBYTE - 64 * 1024)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        bytes(15),
        struct.pack(">IIII", 2 << 24, 0, 0, 0),
        struct.pack(">IIII", 1, 0, 0, 0),
        struct.pack(">IIII", 0, 0, 0, 1),
        struct.pack(">IIII", 0, 1, 1, 0),
        struct.pack(">IIII", 0, 0, 16, 0) + bytes(16),
        struct.pack(">IIII", 0, 16, 0, 0) + bytes(16),
        struct.pack(">IIII", 1 << 24, 1001, 16, 0) + bytes(16),
        struct.pack(">IIII", 1 << 24, 0xFFFFFFFF, 16, 0) + bytes(16),
        struct.pack(">IIII", 1 << 24, 10, 0xFFFFFFFF, 0) + bytes(16),
    ],
    ids=range(11),
)
def test_a_frame_that_contradicts_itself_is_refused(frame: bytes) -> None:
    with pytest.raises(FormatError):
        parse_frame(frame, 1000)


@given(st.binary(max_size=64))
def test_no_frame_raises_anything_but_a_format_error(frame: bytes) -> None:
    with contextlib.suppress(FormatError):
        parse_frame(frame, 1000)


@given(st.lists(st.binary(max_size=5), max_size=4), st.lists(st.binary(max_size=5), max_size=4))
def test_no_two_lists_of_fields_give_the_same_bytes(one: list[bytes], other: list[bytes]) -> None:
    assert (length_prefixed(one) == length_prefixed(other)) == (one == other)


escaped = st.text(alphabet="ab=0", min_size=1, max_size=4)
contexts = st.fixed_dictionaries(
    {
        "suite": st.sampled_from(["one", "two", "onet"]),
        "host": escaped,
        "name": escaped,
        "chain": ids,
        "backup": ids,
        "kind": st.sampled_from("idm"),
        "volume": st.integers(0, LARGEST),
        "offset": st.integers(0, LARGEST),
    }
)


def encode(members: dict[str, Any]) -> bytes:
    context = SegmentContext(*(members[key] for key in ("suite", "host", "name", "chain", "backup")))
    return context.of(members["kind"], members["volume"], members["offset"])


@given(contexts, contexts)
def test_different_segments_never_share_a_context(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (encode(one) == encode(other)) == (one == other)


@given(contexts, st.data())
def test_each_single_member_changes_the_context(members: dict[str, Any], data: st.DataObject) -> None:
    other = data.draw(contexts)
    for key in members:
        varied = {**members, key: other[key]}
        assert (encode(varied) == encode(members)) == (varied == members)


@given(escaped, escaped, st.binary(max_size=9), st.binary(max_size=9))
def test_a_manifests_context_binds_its_name_and_every_byte_before_its_body(
    path: str, other_path: str, before: bytes, other_before: bytes
) -> None:
    context = SegmentContext("one", "host", "name", "0" * 16, "1" * 16)
    same = (path, before) == (other_path, other_before)
    assert (context.of_manifest(path, before) == context.of_manifest(other_path, other_before)) == same


def test_a_manifest_and_a_volume_never_share_a_context() -> None:
    context = SegmentContext("one", "host", "name", "0" * 16, "1" * 16)
    assert not context.of_manifest("p", b"").startswith((context.of("i", 0, 0), context.of("d", 0, 0)))


@pytest.mark.parametrize("kind", range(16))
def test_a_skippable_frame_of_zstd_is_refused_without_room_for_it(kind: int) -> None:
    payload = struct.pack("<II", 0x184D2A50 + kind, 1 << 26)
    frame = parse_frame(FRAME.pack(ZSTD, bytes(3), 0, len(payload), 0) + payload, LARGEST_SEGMENT)
    tracemalloc.start()
    try:
        with pytest.raises(FormatError):
            SegmentDecompressor().decompress(frame)
        assert tracemalloc.get_traced_memory()[1] < MEBIBYTE
    finally:
        tracemalloc.stop()


def test_a_zstd_frame_of_nothing_is_read() -> None:
    payload = zstandard.ZstdCompressor().compress(b"")
    frame = parse_frame(FRAME.pack(ZSTD, bytes(3), 0, len(payload), 0) + payload, LARGEST_SEGMENT)
    assert SegmentDecompressor().decompress(frame) == b""
