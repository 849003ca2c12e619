# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compressed segments: whole or refused, and never larger than they said."""

from __future__ import annotations

import os

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from papi_backup.engine.compression import SegmentCompressor, SegmentDecompressor
from papi_backup.engine.format import FormatError
from papi_backup.engine.format.segment import STORED, ZSTD, Frame

TEXT = b"the same again and again, " * 400


def unpack(payload: bytes, raw_size: int) -> bytes:
    return bytes(SegmentDecompressor().decompress(Frame(ZSTD, raw_size, memoryview(payload))))


@given(st.binary(max_size=2000))
def test_what_was_compressed_comes_back(raw: bytes) -> None:
    codec, payload = SegmentCompressor().compress(raw)
    assert bytes(SegmentDecompressor().decompress(Frame(codec, len(raw), memoryview(payload)))) == raw
    assert len(payload) <= len(raw)


def test_noise_is_kept_as_it_is_and_text_shrinks() -> None:
    noise = os.urandom(5000)
    assert SegmentCompressor().compress(noise) == (STORED, noise)
    assert SegmentCompressor().compress(bytearray(TEXT))[0] == ZSTD


def bomb() -> bytes:
    return zstandard.ZstdCompressor().compress(bytes(64 << 20))


@pytest.mark.parametrize(
    ("payload", "raw_size"),
    [
        (b"", 0),
        (b"", 10),
        (b"no zstd at all", 14),
        (zstandard.ZstdCompressor().compress(TEXT)[:-1], len(TEXT)),
        (zstandard.ZstdCompressor().compress(TEXT) + b"more", len(TEXT)),
        (zstandard.ZstdCompressor().compress(TEXT), len(TEXT) - 1),
        (zstandard.ZstdCompressor().compress(TEXT), len(TEXT) + 1),
        (zstandard.ZstdCompressor(write_content_size=False).compress(TEXT), len(TEXT)),
        (b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip", 4),
    ],
    ids=["empty", "nothing", "noise", "cut", "longer", "more", "less", "no size", "skipped"],
)
def test_a_malformed_payload_is_refused(payload: bytes, raw_size: int) -> None:
    with pytest.raises(FormatError):
        unpack(payload, raw_size)


def test_a_bomb_is_refused_before_it_unfolds() -> None:
    with pytest.raises(FormatError):
        unpack(bomb(), 1000)


def test_a_bomb_that_lies_about_its_size_is_refused() -> None:
    honest = zstandard.ZstdCompressor().compress(bytes(1 << 20))
    size = (1 << 20).to_bytes(4, "little")
    assert honest[5:9] == size
    with pytest.raises(FormatError):
        unpack(honest.replace(size, (1000).to_bytes(4, "little"), 1), 1000)


@given(st.binary(max_size=100), st.integers(0, 1000))
def test_no_payload_raises_anything_but_a_format_error(payload: bytes, raw_size: int) -> None:
    header = b"\x28\xb5\x2f\xfd"
    for found in (payload, header + payload):
        try:
            assert len(unpack(found, raw_size)) == raw_size
        except FormatError:
            continue
