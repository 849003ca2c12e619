# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One file's content: read, cut into chunks, deduplicated, put into segments (docs/sources.md)."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, NamedTuple

from pyfastcdc import FastCDC

from papi_backup.engine.backup.buffers import fresh_buffer
from papi_backup.engine.backup.chunk_index import ChunkIndex, Place
from papi_backup.engine.backup.directories import Directory, OpenDirectories, pinned
from papi_backup.engine.backup.files import Owners, pinned_entry, read_xattrs
from papi_backup.engine.backup.leases import Patience
from papi_backup.engine.backup.readings import GONE, HOLE, Facts, Piece, ReadFile, unread
from papi_backup.engine.backup.segments import SegmentWriter
from papi_backup.engine.backup.small_files import Stage
from papi_backup.engine.crypto import ChainKeys
from papi_backup.engine.format.header import Chunker
from papi_backup.engine.format.segment import Buffer
from papi_backup.host_paths import by_descriptor

_BLOCK = 512
_READ_AHEAD = 8 << 20
_NO_ID = bytes(16)
_PENDING = ReadFile(None, (), {}, 0)
_READING = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_READING_QUIETLY = _READING | os.O_NOFOLLOW | os.O_NOATIME
_MOST_UNTOLD = 1 << 30
"""Bytes that are read of a file that says it has none."""
_UNTOLD_TEXT = f"says that it is empty and has more than {_MOST_UNTOLD} bytes: the rest was not saved"
_OTHER_KIND = frozenset((errno.ELOOP, errno.ENXIO, errno.ENODEV))
"""How opening a link, a socket or a device ends, where the walk had found a file."""


class Group(NamedTuple):
    """Files of one directory that follow each other in the walk."""

    place: Directory
    names: list[bytes]


def unnoted(length: int) -> None:
    """Take no note of how many bytes were read."""
    del length


class ContentReader:
    """Reads files into segments; one instance serves one process."""

    def __init__(
        self,
        keys: ChainKeys,
        chunker: Chunker,
        index: ChunkIndex,
        segments: SegmentWriter,
        *,
        note: Callable[[int], None] = unnoted,
        patience: Patience | None = None,
    ) -> None:
        """``note`` is told how many bytes were read, again and again while a file is long.

        ``patience`` is what all readers of a job have in common; without it this one has its own.
        """
        self._note = note
        self._patience = patience or Patience()
        self._owners = Owners()
        self._keys = keys
        self._chunker = chunker
        self._index = index
        self._segments = segments
        self._cutter = FastCDC(
            avg_size=chunker.average,
            min_size=chunker.minimum,
            max_size=chunker.maximum,
            normalized_chunking=_normalization(chunker),
            seed=keys.chunker_seed,
        )
        self._buffer = fresh_buffer(max(_READ_AHEAD, 2 * chunker.maximum))
        self._stage = Stage(keys, index, segments)

    def read_all(self, groups: Sequence[Group]) -> list[ReadFile]:
        """Do what :meth:`read` does for each name of each group; small files are stored together."""
        results: list[ReadFile] = []
        with OpenDirectories() as places:
            for place, names in groups:
                try:
                    directory = places.at(place)
                except OSError as error:
                    results += [unread(error)] * len(names)
                    continue
                for name in names:
                    number = len(results)
                    results.append(_PENDING)
                    if not self._read_small(number, directory, name):
                        self._stage.store(results)
                        results[number] = self.read(directory, name, place.prefix + name)
                    elif self._stage.is_full:
                        self._stage.store(results)
        self._stage.store(results)
        return results

    def _read_small(self, number: int, directory: int, name: bytes) -> bool:
        """Stage a file that is one chunk and holds still; return False for every other."""
        try:
            descriptor = self._open(directory, name)
        except OSError:
            return False
        try:
            before = os.fstat(descriptor)
            size = before.st_size
            if not stat.S_ISREG(before.st_mode) or not 0 < size <= self._chunker.minimum:
                return False
            if before.st_blocks * _BLOCK < size:  # a hole, perhaps
                return False
            xattrs, warning = read_xattrs(descriptor)
            data = os.read(descriptor, size + 1)
            if len(data) != size or _differ(before, os.fstat(descriptor)):
                return False
        except OSError:
            return False
        finally:
            os.close(descriptor)
        self._stage.add(number, Facts.of(before), xattrs, warning, data)
        self._note(size)
        return True

    def read(self, directory: int, name: bytes, path: bytes) -> ReadFile:
        """Read a file of an open directory; one that changes meanwhile is read once more, then marked.

        What is no file any more is looked at once more, and told as what it is then.  Never raises for what
        the file does; whatever the storage raises passes through.
        """
        try:
            try:
                descriptor = self._open(directory, name)
            except BlockingIOError:
                descriptor = self._patience.outlast(lambda: self._open(directory, name))
        except OSError as error:
            return self._look_again(directory, name, path) if error.errno in _OTHER_KIND else unread(error)
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return self._read_open(descriptor)
        finally:
            os.close(descriptor)
        return self._look_again(directory, name, path)

    def _read_open(self, descriptor: int) -> ReadFile:
        try:
            first = self._read_once(descriptor)
            if not first.changed:
                return first
            second = self._read_once(descriptor)
            return second._replace(bytes_read=first.bytes_read + second.bytes_read)
        except SourceReadError as error:
            return unread(error.cause)

    def _look_again(self, directory: int, name: bytes, path: bytes) -> ReadFile:
        """Save what has a name now, whatever it is: what is pinned cannot change its kind again."""
        try:
            with pinned(directory, name) as pin:
                status = os.fstat(pin)
                if not stat.S_ISREG(status.st_mode):
                    entry, warning = pinned_entry(path, pin, status, self._owners)
                    if entry is None:
                        return GONE
                    return ReadFile(None, (), {}, 0, warning=warning, instead=entry)
                descriptor = self._open_pinned(pin)
        except OSError as error:
            return unread(error)
        try:
            return self._read_open(descriptor)
        finally:
            os.close(descriptor)

    def _open_pinned(self, pin: int) -> int:
        try:
            return os.open(by_descriptor(pin), _READING)
        except BlockingIOError:
            return self._patience.outlast(lambda: os.open(by_descriptor(pin), _READING))

    @staticmethod
    def _open(directory: int, name: bytes) -> int:
        try:
            return os.open(name, _READING_QUIETLY, dir_fd=directory)
        except PermissionError:
            return os.open(name, _READING_QUIETLY & ~os.O_NOATIME, dir_fd=directory)

    def _read_once(self, descriptor: int) -> ReadFile:
        with _source_errors():
            before = os.fstat(descriptor)
        xattrs, warning = read_xattrs(descriptor)
        pieces = list(self._pieces(descriptor, before))
        with _source_errors():
            after = os.fstat(descriptor)
        read = sum(piece.length for piece in pieces if piece.segment != HOLE)
        length = sum(piece.length for piece in pieces)
        unfit = length != after.st_size and after.st_size > 0
        changed = Facts.of(before) != Facts.of(after) or unfit
        if length >= _MOST_UNTOLD > after.st_size == 0:
            warning = _joined(warning, _UNTOLD_TEXT)
        facts = Facts.of(after)._replace(size=length)
        return ReadFile(facts, pieces, xattrs, read, changed=changed, warning=warning)

    def _pieces(self, descriptor: int, status: os.stat_result) -> Iterator[Piece]:
        size = status.st_size
        if size and status.st_blocks * _BLOCK < size:
            yield from self._sparse_pieces(descriptor, size)
        else:
            # Files of some file systems have content and say that they are empty.
            yield from self._extent_pieces(descriptor, 0, size or _MOST_UNTOLD)

    def _sparse_pieces(self, descriptor: int, size: int) -> Iterator[Piece]:
        position = 0
        while position < size:
            with _source_errors():
                start, end = _next_data(descriptor, position, size)
            if start > position:
                yield Piece(HOLE, 0, start - position, _NO_ID)
            if end > start:
                yield from self._extent_pieces(descriptor, start, end)
            position = max(end, start)

    def _extent_pieces(self, descriptor: int, start: int, end: int) -> Iterator[Piece]:
        """Yield the chunks of the bytes from ``start`` to ``end``; a file that grows is not followed."""
        view = self._buffer
        held, offset, finished = 0, start, False
        while True:
            while held < len(view) and not finished:
                wanted = min(len(view) - held, end - offset)
                with _source_errors():
                    got = os.preadv(descriptor, [view[held : held + wanted]], offset) if wanted else 0
                held, offset, finished = held + got, offset + got, got == 0
            if not held:
                return
            used = 0
            for chunk in self._cutter.cut_buf(view[:held]):
                boundary = chunk.offset + chunk.length
                if boundary == held and not finished:
                    break
                yield self._store(view[chunk.offset : boundary])
                used = boundary
            view[: held - used] = view[used:held].tobytes()
            held -= used
            self._note(used)
            if finished and not held:
                return

    def _store(self, data: Buffer) -> Piece:
        chunk_id = self._keys.chunk_id_of(data)
        place = self._index.find(chunk_id)
        if place is None:
            place = Place(*self._segments.add(data))
            self._index.add(chunk_id, place)
        return Piece(place.segment, place.offset, len(data), chunk_id)


class SourceReadError(Exception):
    """Reading the source failed; kept apart from what a storage may raise."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


@contextmanager
def _source_errors() -> Iterator[None]:
    """Turn an OSError of the source into SourceReadError."""
    try:
        yield
    except OSError as error:
        raise SourceReadError(error) from None


def _joined(*warnings: str) -> str:
    return "; ".join(filter(None, warnings))


def _differ(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether anything but the time of access changed; the first seven members end with the size."""
    return (
        before.st_ctime_ns != after.st_ctime_ns
        or before.st_mtime_ns != after.st_mtime_ns
        or before[:7] != after[:7]
    )


def _normalization(chunker: Chunker) -> Literal[0, 1, 2, 3]:
    levels: tuple[Literal[0, 1, 2, 3], ...] = (0, 1, 2, 3)
    return levels[chunker.normalization]


def _next_data(descriptor: int, position: int, size: int) -> tuple[int, int]:
    """Return the next data extent's start and end; (size, size) when only a hole is left."""
    try:
        start = os.lseek(descriptor, position, os.SEEK_DATA)
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return size, size
        if error.errno == errno.EINVAL:
            return position, size
        raise
    return min(start, size), min(end, size)
