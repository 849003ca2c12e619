# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compression of one segment (docs/format.md, "Segments")."""

from __future__ import annotations

import zstandard

from papi_backup.engine.format import FormatError
from papi_backup.engine.format.segment import STORED, ZSTD, Buffer, Frame

LEVEL = 3
_WINDOW_LOG = 22
"""Repetitions are found in all of the largest segment; the level alone looks back half as far."""
_TABLE_LOG = 18
"""Entries of the tables by which they are found: 1.5 % less of a machine is stored, in the same time."""


class CompressorError(Exception):
    """What the compressor wrote does not decode to what it was given; nothing was sent."""


class SegmentCompressor:
    """zstd, or the data as it is where that is not larger; decodes each result once before it is used.

    One instance serves one thread.
    """

    def __init__(self, level: int = LEVEL) -> None:
        parameters = zstandard.ZstdCompressionParameters(
            compression_level=level,
            window_log=_WINDOW_LOG,
            hash_log=_TABLE_LOG,
            chain_log=_TABLE_LOG,
            write_content_size=True,
        )
        self._compressor = zstandard.ZstdCompressor(compression_params=parameters)
        self._decompressor = zstandard.ZstdDecompressor()

    def compress(self, raw: Buffer) -> tuple[int, Buffer]:
        """Return (codec, payload); the payload may be ``raw`` itself.  Raises CompressorError."""
        payload = self._compressor.compress(raw)
        if len(payload) >= len(raw):
            return STORED, raw
        decoded = self._decompressor.decompress(payload, max_output_size=len(raw))
        # A view is compared byte by byte with ``==``, thirty times slower.
        if len(decoded) != len(raw) or not decoded.startswith(raw):
            raise CompressorError("zstd wrote data that it cannot read back")
        return ZSTD, payload


class SegmentDecompressor:
    """Undoes :class:`SegmentCompressor`; the frame's lengths were checked before."""

    def __init__(self) -> None:
        self._decompressor = zstandard.ZstdDecompressor()

    def decompress(self, frame: Frame) -> bytes | memoryview:
        """Return the raw bytes.  Raises FormatError if they are not as many as declared, or malformed."""
        if frame.codec == STORED:
            return frame.payload
        try:
            raw = self._unpack(frame)
        except zstandard.ZstdError:
            raise FormatError("its compressed data is malformed") from None
        if len(raw) != frame.raw_size:
            raise FormatError("its declared and its real length differ")
        return raw

    def _unpack(self, frame: Frame) -> bytes:
        # For eight bytes of a skippable frame zstd takes up to 4 GiB, whatever ``max_output_size`` is.
        if frame.payload[: len(zstandard.FRAME_HEADER)] != zstandard.FRAME_HEADER:
            raise FormatError("its compressed data is no zstd frame")
        if zstandard.frame_content_size(frame.payload) != frame.raw_size:
            raise FormatError("its declared and its real length differ")
        return self._decompressor.decompress(
            frame.payload, max_output_size=frame.raw_size, allow_extra_data=False
        )
