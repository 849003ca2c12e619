# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A chain's header: what must be known before any key is at hand (docs/format.md, "Header")."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any

from papi_backup.engine.format import FORMAT_VERSION, FormatError
from papi_backup.engine.format.segment import MEBIBYTE, segment_cap

SUITE_ENCRYPTED = "aes-256-cbc+hmac-sha-256"
SUITE_RAW = "raw+hmac-sha-256"
CHUNK_ID_BLAKE3 = "blake3-keyed-128"
CHUNKER_FASTCDC = "fastcdc-2020"
SUPPORTED_FEATURES: frozenset[str] = frozenset()
SCRYPT_R, SCRYPT_P = 8, 1
SCRYPT_LEAST, SCRYPT_MOST = 1 << 10, 1 << 18
LARGEST_HEADER = 64 * 1024


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
    """FastCDC parameters in bytes; the seed is derived from the chain key."""

    minimum: int
    average: int
    maximum: int
    normalization: int = 1


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
    document = _object(_load(encoded), "header")
    if document.get("format") != FORMAT_VERSION:
        raise FormatError("its format version is not 1")
    unknown = [
        feature
        for feature in _list(document.get("required"), "required")
        if feature not in SUPPORTED_FEATURES
    ]
    if unknown:
        raise FormatError(f"it needs features this version does not have: {unknown!r}")
    suite = document.get("suite")
    if suite not in (SUITE_ENCRYPTED, SUITE_RAW):
        raise FormatError(f"its cipher suite {suite!r} is unknown")
    chain = document.get("chain")
    if not isinstance(chain, str) or not re.fullmatch("[0-9a-f]{16}", chain, re.ASCII):
        raise FormatError("its chain id is malformed")
    file_size = _integer(document.get("file_size"), "file_size", MEBIBYTE, 1 << 50)
    slots = tuple(
        slot for slot in map(_parse_slot, _list(document.get("slots"), "slots")) if slot is not None
    )
    return ChainHeader(
        suite, chain, file_size, _parse_chunker(document.get("chunker"), file_size), slots, encoded
    )


def _load(encoded: bytes) -> Any:
    try:
        return json.loads(encoded.decode("ascii"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise FormatError("its header is not JSON") from None


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


def _parse_slot(value: Any) -> Slot | None:
    slot = _object(value, "slot")
    if slot.get("type") == "clear":
        return ClearSlot(key=_binary(slot.get("key"), "slot key", 32))
    if slot.get("type") != "scrypt":
        return None
    cost = _integer(slot.get("n"), "scrypt n", SCRYPT_LEAST, SCRYPT_MOST)
    if cost & (cost - 1) or slot.get("r") != SCRYPT_R or slot.get("p") != SCRYPT_P:
        raise FormatError("its scrypt parameters are outside the allowed ones")
    return ScryptSlot(
        salt=_binary(slot.get("salt"), "scrypt salt", 16),
        cost=cost,
        wrapped=_binary(slot.get("key"), "slot key", 40),
    )


def _parse_chunker(value: Any, file_size: int) -> Chunker:
    chunker = _object(value, "chunker")
    cap = segment_cap(file_size)
    maximum = _integer(chunker.get("maximum"), "chunker maximum", 1024, cap)
    average = _integer(chunker.get("average"), "chunker average", 256, maximum)
    minimum = _integer(chunker.get("minimum"), "chunker minimum", 64, average)
    return Chunker(minimum, average, maximum, _integer(chunker.get("normalization"), "normalization", 0, 3))


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FormatError(f"its {what} is malformed")
    return value


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list) or len(value) > 64:
        raise FormatError(f"its {what} list is malformed")
    return value


def _integer(value: Any, what: str, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise FormatError(f"its {what} is outside {least}..{most}")
    return value


def _binary(value: Any, what: str, size: int) -> bytes:
    try:
        raw = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except binascii.Error:
        raw = b""
    if len(raw) != size:
        raise FormatError(f"its {what} is malformed")
    return raw
