# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gathers chunks, files and pages into segments: compressed once, encrypted once, authenticated once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from papi_backup.engine.backup.buffers import fresh_buffer
from papi_backup.engine.backup.setup import WriterSetup
from papi_backup.engine.backup.volumes import VolumeWriter
from papi_backup.engine.compression import SegmentCompressor
from papi_backup.engine.crypto import seal
from papi_backup.engine.format.names import CONTENT
from papi_backup.engine.format.references import SegmentRef
from papi_backup.engine.format.segment import (
    INDEX_SEGMENT,
    IV_SIZE,
    LARGEST_SEGMENT,
    TAG_SIZE,
    Buffer,
    build_frame,
    frame_size,
    sealed_size,
)

FEW_CHUNKS = 4
"""A segment of fewer chunks is padded, so that its size does not tell a chunk's size."""


class SegmentWriter:
    """Fills one segment at a time; a full one is sealed and handed to the volume writer.

    ``sealed`` is told each segment's own number and its reference, in the order of sealing.
    """

    def __init__(
        self,
        setup: WriterSetup,
        kind: str,
        volumes: VolumeWriter,
        numbers: Iterator[int],
        sealed: Callable[[int, SegmentRef], None],
    ) -> None:
        self._keys = setup.keys
        self._context = setup.context
        self._kind = kind
        self._volumes = volumes
        self._capacity = setup.capacity if kind == CONTENT else INDEX_SEGMENT
        self._numbers = numbers
        self._sealed = sealed
        self._compressor = SegmentCompressor()
        self._buffer = fresh_buffer(self._capacity)
        self._used = 0
        self._chunks = 0
        self._number = -1

    def add(self, data: Buffer) -> tuple[int, int]:
        """Put a chunk into the current segment; return (segment number, offset).

        A chunk larger than the capacity gets a segment of its own.
        """
        if self._chunks and self._used + len(data) > self._capacity:
            self.flush()
        if not self._chunks:
            self._number = next(self._numbers)
            if len(data) > len(self._buffer):
                self._buffer = fresh_buffer(len(data))
        offset, self._used = self._used, self._used + len(data)
        self._buffer[offset : self._used] = data
        self._chunks += 1
        return self._number, offset

    def flush(self) -> None:
        """Seal the current segment, if it holds anything."""
        if not self._chunks:
            return
        if self._used > LARGEST_SEGMENT:
            raise RuntimeError("a segment larger than any reader accepts")
        codec, payload = self._compressor.compress(self._buffer[: self._used])
        hide = self._chunks < FEW_CHUNKS
        length = sealed_size(frame_size(len(payload), hide_size=hide), encrypted=self._keys.encrypted)
        volume, offset = self._volumes.place(length)
        frame = build_frame(codec, self._used, payload, hide_size=hide)
        context = self._context.of(self._kind, volume, offset)
        sealed = seal(self._keys, context, frame, os.urandom(IV_SIZE))
        self._volumes.append(sealed)
        reference = SegmentRef(
            self._context.backup, volume, offset, len(sealed), self._used, bytes(sealed[-TAG_SIZE:])
        )
        self._used = self._chunks = 0
        self._sealed(self._number, reference)

    def finish(self) -> None:
        """Seal what is left and make the last volume durable."""
        self.flush()
        self._volumes.finish()
