# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A reader of files with everything it writes to."""

from __future__ import annotations

import itertools
import multiprocessing
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from memory_storage import MemoryStorage

from papi_backup.engine.backup.chunk_index import ChunkIndex, Place
from papi_backup.engine.backup.content import ContentReader, Group
from papi_backup.engine.backup.directories import Directory
from papi_backup.engine.backup.leases import Patience
from papi_backup.engine.backup.readings import HOLE, ReadFile
from papi_backup.engine.backup.segments import SegmentWriter
from papi_backup.engine.backup.setup import WriterSetup, chunker_for
from papi_backup.engine.backup.volumes import VolumeWriter
from papi_backup.engine.compression import SegmentDecompressor
from papi_backup.engine.crypto import ChainKeys, open_sealed
from papi_backup.engine.format.names import CONTENT, volume_name
from papi_backup.engine.format.references import SegmentRef
from papi_backup.engine.format.segment import SegmentContext, parse_frame, segment_cap
from papi_backup.model.sizes import MEBIBYTE

FILE_SIZE = MEBIBYTE
CHUNKER = chunker_for(FILE_SIZE)
CAP = segment_cap(FILE_SIZE)


class WatchedIndex(ChunkIndex):
    """Calls back before a chunk is looked up: the moment between two reads of a file."""

    def __init__(self) -> None:
        super().__init__(multiprocessing.get_context("fork").Lock())
        self.before_find: Callable[[], None] = lambda: None

    def find(self, chunk_id: bytes) -> Place | None:
        self.before_find()
        return super().find(chunk_id)


class Bench:
    """A reader with everything it writes to, and what lies there read back."""

    def __init__(self, patience: Patience | None = None) -> None:
        self.storage = MemoryStorage()
        self.keys = ChainKeys.derive(bytes(32), "00" * 8, encrypted=True)
        context = SegmentContext("suite", "host", "name", "00" * 8, "11" * 8)
        self.setup = WriterSetup(self.keys, context, CHUNKER, "host", "name", FILE_SIZE)
        self.sealed: dict[int, SegmentRef] = {}
        self.index = WatchedIndex()
        volumes = VolumeWriter(self.storage, self.setup, CONTENT, itertools.count().__next__)
        numbers = itertools.count()
        self.segments = SegmentWriter(self.setup, CONTENT, volumes, numbers, self.sealed.__setitem__)
        self.reader = ContentReader(self.keys, CHUNKER, self.index, self.segments, patience=patience)

    def read(self, path: Path) -> ReadFile:
        return self.read_all([path])[0]

    def read_all(self, paths: Sequence[Path]) -> list[ReadFile]:
        """Read files as if the walk had found each in the directory that lies there now."""
        files: list[ReadFile] = []
        for place, group in itertools.groupby(paths, lambda path: path.parent):
            path = os.fsencode(place).lstrip(b"/")
            directory = Directory.of(path, place.stat()) if place.is_dir() else Directory(path, 0, 0)
            files += self.reader.read_all([Group(directory, [os.fsencode(path.name) for path in group])])
        return files

    def stored(self, file: ReadFile) -> bytes:
        """Return the content behind a file's pieces, from the storage."""
        self.segments.finish()
        content = bytearray()
        for piece in file.pieces:
            if piece.segment == HOLE:
                content += bytes(piece.length)
            else:
                raw = self._raw(self.sealed[piece.segment])
                content += raw[piece.offset : piece.offset + piece.length]
        return bytes(content)

    def _raw(self, segment: SegmentRef) -> bytes | memoryview:
        name = volume_name(self.setup.prefix, segment.backup, CONTENT, segment.volume)
        sealed = self.storage.get(name, segment.offset, segment.length)
        context = self.setup.context.of(CONTENT, segment.volume, segment.offset)
        return SegmentDecompressor().decompress(
            parse_frame(open_sealed(self.keys, context, sealed), segment.raw_size)
        )
