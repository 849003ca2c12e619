# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sealed segments: what comes back, and that nothing altered ever does."""

from __future__ import annotations

import pytest
from format_strategies import ids
from hypothesis import given
from hypothesis import strategies as st

from papi_backup.engine.compression import SegmentCompressor, SegmentDecompressor
from papi_backup.engine.crypto import AuthenticationFailedError, ChainKeys, open_sealed, seal
from papi_backup.engine.format.segment import (
    IV_SIZE,
    LARGEST_SEGMENT,
    TAG_SIZE,
    build_frame,
    parse_frame,
    sealed_size,
)

CHAIN = "c0ffee0123456789"
KEY = bytes(range(32))
IV = bytes(range(100, 100 + IV_SIZE))
CONTEXT = b"some context"
ENCRYPTED = ChainKeys.derive(KEY, CHAIN, encrypted=True)
RAW = ChainKeys.derive(KEY, CHAIN, encrypted=False)
both = pytest.mark.parametrize("keys", [ENCRYPTED, RAW], ids=["encrypted", "raw"])
contents = st.one_of(st.binary(max_size=300), st.binary(min_size=1, max_size=4).map(lambda raw: raw * 500))


def sealed_segment(keys: ChainKeys, raw: bytes = b"what is in it", context: bytes = CONTEXT) -> bytes:
    codec, payload = SegmentCompressor().compress(raw)
    return bytes(seal(keys, context, build_frame(codec, len(raw), payload, hide_size=True), IV))


def opened_segment(keys: ChainKeys, sealed: bytes | memoryview, context: bytes = CONTEXT) -> bytes:
    frame = parse_frame(open_sealed(keys, context, sealed), LARGEST_SEGMENT)
    return bytes(SegmentDecompressor().decompress(frame))


@both
@given(contents)
def test_what_was_sealed_comes_back(keys: ChainKeys, raw: bytes) -> None:
    sealed = sealed_segment(keys, raw)
    assert opened_segment(keys, sealed) == raw
    assert opened_segment(keys, memoryview(bytearray(sealed))) == raw


@both
@given(contents)
def test_a_sealed_segment_is_as_long_as_foretold(keys: ChainKeys, raw: bytes) -> None:
    codec, payload = SegmentCompressor().compress(raw)
    frame = build_frame(codec, len(raw), payload, hide_size=True)
    assert len(seal(keys, CONTEXT, frame, IV)) == sealed_size(frame.size, encrypted=keys.encrypted)


@both
def test_every_flipped_bit_is_noticed(keys: ChainKeys) -> None:
    sealed = sealed_segment(keys)
    for position in range(len(sealed) * 8):
        altered = bytearray(sealed)
        altered[position // 8] ^= 1 << position % 8
        with pytest.raises(AuthenticationFailedError):
            open_sealed(keys, CONTEXT, altered)


@both
def test_every_truncation_and_every_extension_is_noticed(keys: ChainKeys) -> None:
    sealed = sealed_segment(keys)
    for length in range(len(sealed)):
        with pytest.raises(AuthenticationFailedError):
            open_sealed(keys, CONTEXT, sealed[:length])
        with pytest.raises(AuthenticationFailedError):
            open_sealed(keys, CONTEXT, sealed[length + 1 :])
    for more in range(1, 50):
        with pytest.raises(AuthenticationFailedError):
            open_sealed(keys, CONTEXT, sealed + bytes(more))


@both
@given(st.binary(max_size=40))
def test_another_context_is_noticed(keys: ChainKeys, context: bytes) -> None:
    if context != CONTEXT:
        with pytest.raises(AuthenticationFailedError):
            open_sealed(keys, context, sealed_segment(keys))


@both
@given(st.binary(max_size=200))
def test_made_up_bytes_are_never_opened(keys: ChainKeys, made_up: bytes) -> None:
    with pytest.raises(AuthenticationFailedError):
        open_sealed(keys, CONTEXT, made_up)


@given(st.binary(min_size=32, max_size=32), ids)
def test_another_chains_keys_open_nothing(key: bytes, chain: str) -> None:
    other = ChainKeys.derive(key, chain, encrypted=True)
    if (key, chain) != (KEY, CHAIN):
        with pytest.raises(AuthenticationFailedError):
            open_sealed(other, CONTEXT, sealed_segment(ENCRYPTED))


def test_the_same_chain_key_seals_raw_and_encrypted_with_one_mac_key_but_other_contexts() -> None:
    assert ENCRYPTED.authentication == RAW.authentication
    assert RAW.encryption == b""


def test_nothing_of_the_content_shows_when_encrypted() -> None:
    assert b"what is in it" in sealed_segment(RAW)
    assert b"what is in it" not in sealed_segment(ENCRYPTED)


def test_the_iv_stands_before_the_ciphertext_and_the_mac_behind_it() -> None:
    sealed = sealed_segment(ENCRYPTED)
    assert sealed.startswith(IV)
    assert len(sealed) == IV_SIZE + 32 + TAG_SIZE


def test_keys_do_not_show_in_their_repr() -> None:
    assert KEY.hex() not in repr(ENCRYPTED)
    assert repr(KEY) not in repr(ENCRYPTED)
