# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which chunks a chain already holds: one table in shared memory for all processes of a job.

Open addressing over 16-byte chunk ids, in generations that double, so that it starts small and is
never rebuilt.  A lock makes each operation whole; two processes may still store the same chunk
once each between look-up and insertion, which the format allows (design section 4, "Chunks").
"""

from __future__ import annotations

import mmap
import os
import struct
from multiprocessing.synchronize import Lock
from typing import NamedTuple

ID_SIZE = 16
_SLOT = struct.Struct("<16sII")
_HEADER = struct.Struct("<II")
_FIRST = 1 << 14
_PAGE = mmap.ALLOCATIONGRANULARITY
_EMPTY = bytes(ID_SIZE)


class Place(NamedTuple):
    """A chunk's segment, by the job's own numbering, and its offset there."""

    segment: int
    offset: int


class ChunkIndex:
    """Made before the helpers are forked; they inherit the memory file and the lock."""

    def __init__(self, lock: Lock) -> None:
        self._lock = lock
        self._file = os.memfd_create("papi-chunk-index")
        os.ftruncate(self._file, _PAGE)
        self._header = mmap.mmap(self._file, _PAGE)
        self._tables: list[mmap.mmap] = []

    def find(self, chunk_id: bytes) -> Place | None:
        """Return where a chunk lies, or None."""
        with self._lock:
            return self._find(chunk_id)

    def add(self, chunk_id: bytes, place: Place) -> None:
        """Remember a chunk; an id that is there already keeps its place."""
        with self._lock:
            if self._find(chunk_id) is None:
                self._insert(chunk_id, place)

    def close(self) -> None:
        """Release the memory; may be called again."""
        if self._file < 0:
            return
        for table in self._tables:
            table.close()
        self._header.close()
        os.close(self._file)
        self._file = -1

    def _find(self, chunk_id: bytes) -> Place | None:
        generations = _HEADER.unpack_from(self._header)[0]
        for generation in reversed(range(generations)):
            table = self._table(generation)
            position = self._probe(table, _FIRST << generation, chunk_id)
            found, segment, offset = _SLOT.unpack_from(table, position)
            if found == chunk_id:
                return Place(segment, offset)
        return None

    def _insert(self, chunk_id: bytes, place: Place) -> None:
        generations, used = _HEADER.unpack_from(self._header)
        if not generations or used * 3 >= (_FIRST << (generations - 1)) * 2:
            generations, used = generations + 1, 0
        table = self._table(generations - 1)
        position = self._probe(table, _FIRST << (generations - 1), chunk_id)
        _SLOT.pack_into(table, position, chunk_id, place.segment, place.offset)
        _HEADER.pack_into(self._header, 0, generations, used + 1)

    @staticmethod
    def _probe(table: mmap.mmap, slots: int, chunk_id: bytes) -> int:
        slot = int.from_bytes(chunk_id[:8], "little") & (slots - 1)
        while True:
            position = slot * _SLOT.size
            found = table[position : position + ID_SIZE]
            if found in (chunk_id, _EMPTY):
                return position
            slot = (slot + 1) & (slots - 1)

    def _table(self, generation: int) -> mmap.mmap:
        while len(self._tables) <= generation:
            size = -(-(_FIRST << len(self._tables)) * _SLOT.size // _PAGE) * _PAGE
            start = _PAGE + sum(len(table) for table in self._tables)
            if os.fstat(self._file).st_size < start + size:
                os.ftruncate(self._file, start + size)
            self._tables.append(mmap.mmap(self._file, size, offset=start))
        return self._tables[generation]
