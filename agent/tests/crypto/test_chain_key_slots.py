# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator's key opens its chain, no other does, and subkeys never coincide."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storage_maker import CHAIN, CHUNKER, some_header

from papi_backup.engine.crypto import (
    ChainKeys,
    WrongKeyError,
    cached_chain_key,
    chain_key_of,
    clear_chain_key,
    unwrap_chain_key,
    wrap_chain_key,
)
from papi_backup.engine.format import FormatError
from papi_backup.engine.format.header import SUITE_ENCRYPTED, ChainHeader, ScryptSlot, build_header
from papi_backup.model.errors import InvalidParameterError
from papi_backup.model.secret import Secret

CHAIN_KEY = bytes(range(32))
CHEAP = 1 << 10
few = settings(max_examples=25, deadline=None)
operators_keys = st.text(min_size=1, max_size=20).map(Secret)


def header_of(*slots: ScryptSlot) -> ChainHeader:
    return build_header(SUITE_ENCRYPTED, CHAIN, 1 << 20, CHUNKER, slots)


@few
@given(operators_keys, st.binary(min_size=32, max_size=32), st.binary(min_size=16, max_size=16))
def test_a_wrapped_chain_key_comes_back(key: Secret, chain_key: bytes, salt: bytes) -> None:
    assert unwrap_chain_key(header_of(wrap_chain_key(chain_key, key, salt, CHEAP)), key) == chain_key


@few
@given(operators_keys, operators_keys)
def test_another_key_opens_nothing(key: Secret, other: Secret) -> None:
    header = header_of(wrap_chain_key(CHAIN_KEY, key, bytes(16), CHEAP))
    if key.reveal() != other.reveal():
        with pytest.raises(WrongKeyError):
            unwrap_chain_key(header, other)


def test_each_slot_opens_with_its_own_key() -> None:
    slots = [wrap_chain_key(CHAIN_KEY, Secret(key), key.encode() * 16, CHEAP) for key in "ab"]
    assert {unwrap_chain_key(header_of(*slots), Secret(key)) for key in "ab"} == {CHAIN_KEY}


@pytest.mark.parametrize("byte", range(40))
def test_an_altered_slot_opens_with_no_key(byte: int) -> None:
    slot = wrap_chain_key(CHAIN_KEY, Secret("the key"), bytes(16), CHEAP)
    wrapped = bytearray(slot.wrapped)
    wrapped[byte] ^= 1
    with pytest.raises(WrongKeyError):
        unwrap_chain_key(header_of(ScryptSlot(slot.salt, slot.cost, bytes(wrapped))), Secret("the key"))


def test_the_key_is_its_utf_8_bytes_as_received() -> None:
    composed, decomposed = Secret("caf\u00e9"), Secret("cafe\u0301")
    header = header_of(wrap_chain_key(CHAIN_KEY, composed, bytes(16), CHEAP))
    assert unwrap_chain_key(header, composed) == CHAIN_KEY
    for other in (decomposed, Secret("caf\u00e9 "), Secret("caf\u00e9\n")):
        with pytest.raises(WrongKeyError):
            unwrap_chain_key(header, other)


def test_a_key_without_utf_8_form_is_an_invalid_parameter() -> None:
    with pytest.raises(InvalidParameterError):
        wrap_chain_key(CHAIN_KEY, Secret("\ud800"), bytes(16), CHEAP)


def test_a_raw_chains_key_stands_in_its_header() -> None:
    assert clear_chain_key(some_header()) == CHAIN_KEY
    with pytest.raises(FormatError):
        clear_chain_key(some_header("the key"))


def test_subkeys_differ_by_purpose_and_by_chain() -> None:
    one = ChainKeys.derive(CHAIN_KEY, "0" * 16, encrypted=True)
    other = ChainKeys.derive(CHAIN_KEY, "1" * 16, encrypted=True)
    subkeys = [key for keys in (one, other) for key in (keys.encryption, keys.authentication, keys.chunk_id)]
    assert len({*subkeys, CHAIN_KEY}) == 7
    assert one.chunker_seed != other.chunker_seed


def test_chunk_ids_of_two_chains_tell_nothing_of_each_other() -> None:
    one = ChainKeys.derive(CHAIN_KEY, "0" * 16, encrypted=True)
    other = ChainKeys.derive(CHAIN_KEY, "1" * 16, encrypted=True)
    assert one.chunk_id_of(b"same") == one.chunk_id_of(bytearray(b"same"))
    assert one.chunk_id_of(b"same") != other.chunk_id_of(b"same")


def test_a_cached_chain_key_tells_whether_the_operators_key_is_still_the_same() -> None:
    cached = cached_chain_key(CHAIN_KEY, Secret("a"))
    assert chain_key_of(cached, Secret("a")) == Secret(CHAIN_KEY.hex())
    assert chain_key_of(cached, Secret("b")) is None
