# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One segment's plaintext frame: lengths, payload, padding (docs/format.md, "Segments")."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from papi_backup.engine.format import FormatError
from papi_backup.model.catalog import FORMAT_VERSION
from papi_backup.model.sizes import MEBIBYTE

Buffer = bytes | bytearray | memoryview
FRAME = struct.Struct(">B3sIII")
"""Codec, reserved (0), raw length, payload length, reserved (0)."""
_RESERVED = bytes(3)
BLOCK = 16
IV_SIZE = 16
TAG_SIZE = 32
LARGEST_SEGMENT = 4 * MEBIBYTE
VOLUME_MARGIN = 64 * 1024
INDEX_SEGMENT = 256 * 1024
"""Raw bytes at which a segment of index pages is closed."""
STORED, ZSTD = 0, 1
SMALLEST_SEALED = FRAME.size + TAG_SIZE
LARGEST_SEALED = FRAME.size + LARGEST_SEGMENT + IV_SIZE + TAG_SIZE
"""Bytes of a sealed segment of the largest payload; Padmé adds nothing to a power of two."""


def segment_cap(file_size: int) -> int:
    """Return the most raw bytes a segment may hold where objects may have ``file_size`` bytes.

    A multiple of 64 KiB below 4 MiB is no longer after Padmé, so that a padded segment of this
    many incompressible bytes still fits.
    """
    return min(LARGEST_SEGMENT, (file_size - VOLUME_MARGIN) // VOLUME_MARGIN * VOLUME_MARGIN)


def padme(length: int) -> int:
    """Return ``length`` rounded up as Padmé does (at most 12 % more): hides the low bits of a size."""
    if length < 2:
        return length
    exponent = length.bit_length() - 1
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return (length + mask) & ~mask


def frame_size(payload_size: int, *, hide_size: bool) -> int:
    """Return the whole frame's length in bytes, a multiple of the cipher's block."""
    size = FRAME.size + (padme(payload_size) if hide_size else payload_size)
    return -(-size // BLOCK) * BLOCK


def sealed_size(frame_length: int, *, encrypted: bool) -> int:
    """Return the bytes a sealed frame takes on the storage."""
    return frame_length + TAG_SIZE + (IV_SIZE if encrypted else 0)


class FrameParts(NamedTuple):
    """A frame that is written: its bytes one behind another, so that no payload is copied to make it."""

    head: bytes
    payload: Buffer
    padding: bytes

    @property
    def size(self) -> int:
        """Bytes of the whole frame."""
        return sum(map(len, self))


def build_frame(codec: int, raw_size: int, payload: Buffer, *, hide_size: bool) -> FrameParts:
    """Return the frame around an already compressed payload."""
    size = frame_size(len(payload), hide_size=hide_size)
    head = FRAME.pack(codec, _RESERVED, raw_size, len(payload), 0)
    return FrameParts(head, payload, bytes(size - FRAME.size - len(payload)))


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame that was read, taken apart; ``payload`` is still compressed if ``codec`` says so."""

    codec: int
    raw_size: int
    payload: memoryview


def parse_frame(frame: Buffer, raw_cap: int) -> Frame:
    """Take an authenticated frame apart.  Raises FormatError if its lengths contradict each other."""
    if len(frame) < FRAME.size:
        raise FormatError(f"a frame of {len(frame)} bytes is too short")
    codec, unused, raw_size, payload_size, reserved = FRAME.unpack_from(frame)
    if codec not in (STORED, ZSTD):
        raise FormatError(f"unknown codec {codec}")
    if unused != _RESERVED or reserved:
        raise FormatError("reserved bytes of a frame are in use")
    if payload_size > len(frame) - FRAME.size or raw_size > raw_cap:
        raise FormatError("declared lengths exceed the segment")
    if codec == STORED and raw_size != payload_size:
        raise FormatError("lengths of an uncompressed segment differ")
    view = memoryview(frame)[FRAME.size : FRAME.size + payload_size]
    return Frame(codec=codec, raw_size=raw_size, payload=view)


def length_prefixed(fields: Iterable[bytes]) -> bytes:
    """Return the fields, each behind its length as four bytes: no two lists give the same bytes."""
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)


@dataclass(frozen=True, slots=True)
class SegmentContext:
    """Everything a segment's MAC binds besides its bytes.  Host and name are escaped."""

    suite: str
    host: str
    name: str
    chain: str
    backup: str

    def prefix(self) -> bytes:
        """Return the part that all segments of one backup share."""
        return length_prefixed(
            (
                b"papi-backup",
                FORMAT_VERSION.to_bytes(2, "big"),
                self.suite.encode(),
                self.host.encode(),
                self.name.encode(),
                bytes.fromhex(self.chain),
                bytes.fromhex(self.backup),
            )
        )

    def of(self, kind: str, volume: int, offset: int) -> bytes:
        """Return the context of the segment at ``offset`` of a volume; ``kind`` is ``i``, ``d`` or ``m``."""
        return self.prefix() + length_prefixed(
            (kind.encode(), volume.to_bytes(8, "big"), offset.to_bytes(8, "big"))
        )

    def of_manifest(self, catalog_name: str, preamble: bytes) -> bytes:
        """Return a manifest's context: its whole name and every byte before its sealed body."""
        return self.of("m", 0, 0) + length_prefixed((catalog_name.encode(), preamble))
