# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small files: each is one chunk, and a stage of them is looked up and stored together.

What is spared is counted in calls, not in bytes: no cutter, no buffer, and the table's lock once a
stage instead of twice a file.
"""

from __future__ import annotations

from typing import NamedTuple

from papi_backup.engine.backup.chunk_index import ChunkIndex, Place
from papi_backup.engine.backup.readings import Facts, Piece, ReadFile
from papi_backup.engine.backup.segments import SegmentWriter
from papi_backup.engine.crypto import ChainKeys

STAGE_BYTES = 1 << 20
"""Content held before it is stored."""


class _Staged(NamedTuple):
    place: int
    facts: Facts
    xattrs: dict[bytes, bytes]
    warning: str
    data: bytes
    chunk_id: bytes


class Stage:
    """Collects small files of a batch; :meth:`store` puts their content where it belongs."""

    def __init__(self, keys: ChainKeys, index: ChunkIndex, segments: SegmentWriter) -> None:
        self._keys = keys
        self._index = index
        self._segments = segments
        self._files: list[_Staged] = []
        self._bytes = 0

    def add(self, place: int, facts: Facts, xattrs: dict[bytes, bytes], warning: str, data: bytes) -> None:
        """Take one whole file; ``place`` is its number in the batch."""
        self._files.append(_Staged(place, facts, xattrs, warning, data, self._keys.chunk_id_of(data)))
        self._bytes += len(data)

    @property
    def is_full(self) -> bool:
        """Whether it is time to store."""
        return self._bytes >= STAGE_BYTES

    def store(self, results: list[ReadFile]) -> None:
        """Store what the chain does not hold yet and put each file's reading into ``results``."""
        files, self._files, self._bytes = self._files, [], 0
        found = self._index.find_all([file.chunk_id for file in files])
        fresh: dict[bytes, Place] = {}
        for file, known in zip(files, found, strict=True):
            where = known or fresh.get(file.chunk_id)
            if where is None:
                where = fresh[file.chunk_id] = Place(*self._segments.add(file.data))
            size = len(file.data)
            pieces = (Piece(where.segment, where.offset, size, file.chunk_id),)
            results[file.place] = ReadFile(file.facts, pieces, file.xattrs, size, warning=file.warning)
        if fresh:
            self._index.add_all(fresh.items())
