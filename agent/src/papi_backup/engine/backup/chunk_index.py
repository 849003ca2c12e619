# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which chunks a chain already holds: one table in shared memory for all processes of a job.

Open addressing over 16-byte chunk ids, in generations that double, so that it starts small, or as
large as it is told, and is never rebuilt.  A lock makes each operation whole; two processes may still
store the same chunk once each between look-up and insertion, which the format allows
(docs/decisions/0003-one-chunk-table-in-shared-memory.md).
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterable, Sequence
from multiprocessing.synchronize import Lock
from typing import NamedTuple

ID_SIZE = 16
_SLOT = struct.Struct("<16sII")
_SLOT_SIZE = _SLOT.size
_HEADER = struct.Struct("<III")
"""Slots of the first table (0: none yet), how many tables there are, slots used of the last."""
FIRST = 1 << 18
"""Slots of the first table.  An id that is new is looked for in every table: few hosts need a second."""
_LARGEST_FIRST = 1 << 21
"""Slots that a list may ask for by what it says of itself: fifty megabytes."""
_PAGE = mmap.ALLOCATIONGRANULARITY
_EMPTY = bytes(ID_SIZE)


class Place(NamedTuple):
    """A chunk's segment, by the job's own numbering, and its offset there."""

    segment: int
    offset: int


class ChunkIndex:
    """Made before the helpers are forked; they inherit the memory file and the lock."""

    def __init__(self, lock: Lock, first: int = FIRST) -> None:
        """``first``: the least slots of the first table, a power of two."""
        self._lock = lock
        self._least = first
        self._file = os.memfd_create("papi-chunk-index")
        os.ftruncate(self._file, _PAGE)
        self._header = mmap.mmap(self._file, _PAGE)
        self._tables: list[mmap.mmap] = []

    def find(self, chunk_id: bytes) -> Place | None:
        """Return where a chunk lies, or None."""
        return self.find_all((chunk_id,))[0]

    def find_all(self, chunk_ids: Sequence[bytes]) -> list[Place | None]:
        """Return where each chunk lies, or None; the lock is taken once."""
        with self._lock:
            tables = self._open_tables()
            return [self._find(tables, chunk_id) for chunk_id in chunk_ids]

    def add(self, chunk_id: bytes, place: Place) -> None:
        """Remember a chunk; an id that is there already keeps its place."""
        self.add_all(((chunk_id, place),))

    def add_all(self, chunks: Iterable[tuple[bytes, tuple[int, int]]], expected: int = 0) -> None:
        """Remember chunks and their (segment, offset); the lock is held while ``chunks`` are made.

        An index that is still empty makes room for as many as are ``expected``: none is then looked for in
        several tables.
        """
        with self._lock:
            first, generations, used = _HEADER.unpack_from(self._header)
            if not first:
                first = max(self._least, _slots_for(expected))
                _HEADER.pack_into(self._header, 0, first, 0, 0)
            tables = self._open_tables()
            for chunk_id, place in chunks:
                if not tables or used * 3 >= (tables[0][1] + 1) * 2:
                    tables.insert(0, self._table(generations))
                    generations, used = generations + 1, 0
                if generations == 1 or self._find(tables[1:], chunk_id) is None:
                    used += self._put(*tables[0], chunk_id, place)
            _HEADER.pack_into(self._header, 0, first, generations, used)

    def close(self) -> None:
        """Release the memory; may be called again."""
        if self._file < 0:
            return
        for table in self._tables:
            table.close()
        self._header.close()
        os.close(self._file)
        self._file = -1

    @staticmethod
    def _find(tables: list[tuple[mmap.mmap, int]], chunk_id: bytes) -> Place | None:
        key = int.from_bytes(chunk_id[:8], "little")
        for table, mask in tables:
            slot = key & mask
            while True:
                position = slot * _SLOT_SIZE
                found = table[position : position + ID_SIZE]
                if found == chunk_id:
                    _id, segment, offset = _SLOT.unpack_from(table, position)
                    return Place(segment, offset)
                if found == _EMPTY:
                    break
                slot = (slot + 1) & mask
        return None

    @staticmethod
    def _put(table: mmap.mmap, mask: int, chunk_id: bytes, place: tuple[int, int]) -> bool:
        """Put a chunk into its slot; return False if it was there."""
        slot = int.from_bytes(chunk_id[:8], "little") & mask
        position = slot * _SLOT_SIZE
        while (found := table[position : position + ID_SIZE]) != _EMPTY:
            if found == chunk_id:
                return False
            slot = (slot + 1) & mask
            position = slot * _SLOT_SIZE
        _SLOT.pack_into(table, position, chunk_id, *place)
        return True

    def _open_tables(self) -> list[tuple[mmap.mmap, int]]:
        """Return every generation's table and the mask of its slots, the newest first."""
        generations = _HEADER.unpack_from(self._header)[1]
        return [self._table(generation) for generation in reversed(range(generations))]

    def _table(self, generation: int) -> tuple[mmap.mmap, int]:
        first = _HEADER.unpack_from(self._header)[0]
        while len(self._tables) <= generation:
            size = -(-(first << len(self._tables)) * _SLOT_SIZE // _PAGE) * _PAGE
            start = _PAGE + sum(len(table) for table in self._tables)
            if os.fstat(self._file).st_size < start + size:
                os.ftruncate(self._file, start + size)
            self._tables.append(mmap.mmap(self._file, size, offset=start))
        return self._tables[generation], (first << generation) - 1


def _slots_for(chunks: int) -> int:
    """Return the slots, a power of two, of which so many chunks fill two thirds at most."""
    return min(1 << (chunks * 3 // 2).bit_length(), _LARGEST_FIRST)
