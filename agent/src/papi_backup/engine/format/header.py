# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A chain's header: what must be known before any key is at hand (docs/format.md, "Header")."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

from papi_backup.engine.format import FormatError, UnsupportedError
from papi_backup.engine.format.checked import (
    array,
    binary,
    identifier,
    load_object,
    mapping,
    number,
    shown,
    text,
    texts,
)
from papi_backup.engine.format.segment import segment_cap
from papi_backup.model.catalog import FORMAT_VERSION
from papi_backup.model.sizes import MEBIBYTE

SUITE_ENCRYPTED = "aes-256-cbc+hmac-sha-256"
SUITE_RAW = "raw+hmac-sha-256"
CHUNK_ID_BLAKE3 = "blake3-keyed-128"
CHUNKER_FASTCDC = "fastcdc-2020"
SUPPORTED_FEATURES: frozenset[str] = frozenset()
SCRYPT_R, SCRYPT_P = 8, 1
SCRYPT_LEAST, SCRYPT_MOST = 1 << 10, 1 << 18
LARGEST_HEADER = 64 * 1024
MOST_SLOTS = 64
MOST_SCRYPT_SLOTS = 4
"""Each costs a derivation before anything is authenticated: more would be a denial of service."""
LARGEST_FILE_SIZE = 1 << 50
CHAIN_KEY_SIZE, WRAPPED_SIZE, SALT_SIZE = 32, 40, 16


@dataclass(frozen=True, slots=True)
class ScryptSlot:
    """The chain key wrapped (RFC 3394) under scrypt of the operator's key."""

    salt: bytes
    cost: int
    wrapped: bytes


@dataclass(frozen=True, slots=True, repr=False)
class ClearSlot:
    """The chain key of a raw chain, in clear: finds damage, proves nothing against the storage's owner."""

    key: bytes


@dataclass(frozen=True, slots=True)
class Chunker:
    """FastCDC parameters in bytes, 0 for another algorithm; the seed is derived from the chain key."""

    minimum: int
    average: int
    maximum: int
    normalization: int = 1
    algorithm: str = CHUNKER_FASTCDC


Slot = ScryptSlot | ClearSlot


@dataclass(frozen=True, slots=True)
class ChainHeader:
    """Made once a chain and copied unchanged; ``encoded`` holds the very bytes, which the MAC covers."""

    suite: str
    chain: str
    file_size: int
    chunker: Chunker
    slots: tuple[Slot, ...]
    encoded: bytes
    chunk_id: str = CHUNK_ID_BLAKE3
    required_to_extend: tuple[str, ...] = ()

    @property
    def extendable(self) -> bool:
        """Whether this version may add to the chain or delete from it; reading needs less."""
        return (
            self.chunk_id == CHUNK_ID_BLAKE3
            and self.chunker.algorithm == CHUNKER_FASTCDC
            and SUPPORTED_FEATURES.issuperset(self.required_to_extend)
        )

    @property
    def encrypted(self) -> bool:
        """Whether reading needs the operator's key."""
        return self.suite == SUITE_ENCRYPTED

    @property
    def segment_cap(self) -> int:
        """Most raw bytes of one segment."""
        return segment_cap(self.file_size)


def build_header(
    suite: str, chain: str, file_size: int, chunker: Chunker, slots: tuple[Slot, ...]
) -> ChainHeader:
    """Encode a new chain's header."""
    document = {
        "format": FORMAT_VERSION,
        "suite": suite,
        "required": [],
        "required_to_extend": [],
        "chain": chain,
        "file_size": file_size,
        "chunk_id": CHUNK_ID_BLAKE3,
        "chunker": {
            "algorithm": CHUNKER_FASTCDC,
            "minimum": chunker.minimum,
            "average": chunker.average,
            "maximum": chunker.maximum,
            "normalization": chunker.normalization,
        },
        "slots": [_encode_slot(slot) for slot in slots],
    }
    encoded = json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
    return ChainHeader(suite, chain, file_size, chunker, slots, encoded)


def parse_header(encoded: bytes) -> ChainHeader:
    """Parse a header that nothing has authenticated yet.  Raises FormatError on anything unexpected."""
    document = load_object(encoded, "its header")
    if number(document.get("format"), "its format version") != FORMAT_VERSION:
        raise UnsupportedError("its format version is not 1")
    check_features(document.get("required"))
    suite = text(document.get("suite"), "its cipher suite")
    if suite not in (SUITE_ENCRYPTED, SUITE_RAW):
        raise UnsupportedError(f"its cipher suite {shown(suite)} is unknown")
    file_size = number(document.get("file_size"), "its file_size", MEBIBYTE, LARGEST_FILE_SIZE)
    return ChainHeader(
        suite=suite,
        chain=identifier(document.get("chain"), "its chain"),
        file_size=file_size,
        chunker=_parse_chunker(document.get("chunker"), file_size),
        slots=_parse_slots(document.get("slots"), encrypted=suite == SUITE_ENCRYPTED),
        encoded=encoded,
        chunk_id=text(document.get("chunk_id"), "its chunk_id"),
        required_to_extend=tuple(texts(document.get("required_to_extend"), "its required_to_extend")),
    )


def check_features(required: Any) -> None:
    """Refuse features that this version does not have.  Raises UnsupportedError, FormatError."""
    unknown = [feature for feature in texts(required, "required") if feature not in SUPPORTED_FEATURES]
    if unknown:
        raise UnsupportedError(f"it needs features this version does not have: {shown(unknown)}")


def _encode_slot(slot: Slot) -> dict[str, Any]:
    if isinstance(slot, ClearSlot):
        return {"type": "clear", "key": base64.b64encode(slot.key).decode()}
    return {
        "type": "scrypt",
        "salt": base64.b64encode(slot.salt).decode(),
        "n": slot.cost,
        "r": SCRYPT_R,
        "p": SCRYPT_P,
        "key": base64.b64encode(slot.wrapped).decode(),
    }


def _parse_slots(value: Any, *, encrypted: bool) -> tuple[Slot, ...]:
    parsed = map(_parse_slot, array(value, "its slots", 1, MOST_SLOTS))
    slots = tuple(slot for slot in parsed if slot is not None)
    clear = sum(isinstance(slot, ClearSlot) for slot in slots)
    if clear != (0 if encrypted else 1) or (clear and len(slots) > 1):
        raise FormatError("its slots and its cipher suite contradict each other")
    if len(slots) - clear > MOST_SCRYPT_SLOTS:
        raise FormatError(f"it has more than {MOST_SCRYPT_SLOTS} scrypt slots")
    return slots


def _parse_slot(value: Any) -> Slot | None:
    slot = mapping(value, "a slot")
    kind = text(slot.get("type"), "a slot's type")
    if kind == "clear":
        return ClearSlot(key=binary(slot.get("key"), "a slot's key", CHAIN_KEY_SIZE))
    if kind != "scrypt":
        return None
    cost = number(slot.get("n"), "scrypt n", SCRYPT_LEAST, SCRYPT_MOST)
    number(slot.get("r"), "scrypt r", SCRYPT_R, SCRYPT_R)
    number(slot.get("p"), "scrypt p", SCRYPT_P, SCRYPT_P)
    if cost & (cost - 1):
        raise FormatError("its scrypt n is no power of two")
    return ScryptSlot(
        salt=binary(slot.get("salt"), "a slot's salt", SALT_SIZE),
        cost=cost,
        wrapped=binary(slot.get("key"), "a slot's key", WRAPPED_SIZE),
    )


def _parse_chunker(value: Any, file_size: int) -> Chunker:
    chunker = mapping(value, "its chunker")
    algorithm = text(chunker.get("algorithm"), "its chunker")
    if algorithm != CHUNKER_FASTCDC:
        return Chunker(0, 0, 0, 0, algorithm)
    maximum = number(chunker.get("maximum"), "chunker maximum", 1024, segment_cap(file_size))
    average = number(chunker.get("average"), "chunker average", 256, maximum)
    minimum = number(chunker.get("minimum"), "chunker minimum", 64, average)
    return Chunker(minimum, average, maximum, number(chunker.get("normalization"), "normalization", 0, 3))
