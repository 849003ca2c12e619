# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The helpers put into the index what the chain holds: nothing is read before, nothing is lost meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from memory_storage import MemoryStorage

from papi_backup.engine.backup.chunk_index import ChunkIndex
from papi_backup.engine.backup.content import Group
from papi_backup.engine.backup.directories import Directory
from papi_backup.engine.backup.helpers import FILLED, FINISHED, MOST_HELD, SEALED, BatchResult, HelperPool
from papi_backup.engine.backup.previous import PARENT_SEGMENTS
from papi_backup.engine.backup.setup import WriterSetup, chunker_for
from papi_backup.engine.crypto import ChainKeys
from papi_backup.engine.format.references import SegmentRef
from papi_backup.engine.format.segment import SegmentContext
from papi_backup.engine.opened import ListShare
from papi_backup.engine.storage.protocol import Storage
from papi_backup.model.errors import CorruptedBackupError, InternalError

OLDER = SegmentRef("aa" * 8, 0, 0, 16384, 100, bytes(32))
FILE_SIZE = 16 << 20


@dataclass(frozen=True)
class Chunks:
    """Stands for the chunks of a list that take their time: until ``gate`` is there."""

    gate: Path
    end: Any = None

    def fill(self, storage: Storage, index: ChunkIndex, share: ListShare) -> list[tuple[int, SegmentRef]]:
        del storage, index
        while not self.gate.exists():
            time.sleep(0.01)
        if isinstance(self.end, Exception):
            raise self.end
        if self.end is not None:
            os._exit(self.end)
        return [(PARENT_SEGMENTS + share.number, OLDER)]


@pytest.fixture
def files(tmp_path: Path) -> list[Group]:
    place = tmp_path / "files"
    place.mkdir()
    for number in range(10):
        (place / f"file{number}").write_text(f"content {number}")
    directory = Directory.of(os.fsencode(place).lstrip(b"/"), place.stat())
    return [Group(directory, [b"file%d" % number for number in range(10)])]


@pytest.fixture
def pool() -> Iterator[HelperPool]:
    pool = HelperPool(2, MemoryStorage)
    keys = ChainKeys.derive(bytes(32), "cc" * 8, encrypted=True)
    context = SegmentContext("suite", "host", "backup", "cc" * 8, "bb" * 8)
    pool.start(WriterSetup(keys, context, chunker_for(FILE_SIZE), "host", "backup", FILE_SIZE))
    yield pool
    pool.close()


def test_what_is_handed_out_meanwhile_is_read_afterwards_in_its_order(
    pool: HelperPool, files: list[Group], tmp_path: Path
) -> None:
    results: list[BatchResult] = []
    pool.fill(Chunks(tmp_path / "gate"), results.append)
    for number in range(4):
        pool.submit(number, files, results.append)
        pool.seal(results.append)
    pool.receive(results.append, timeout=0.3)
    assert (results, pool.bytes_read) == ([], 0)
    (tmp_path / "gate").touch()
    pool.finish(results.append)
    assert [result.batch for result in results[:2]] == [FILLED, FILLED]
    assert sorted(results[0].sealed + results[1].sealed) == [
        (PARENT_SEGMENTS, OLDER),
        (PARENT_SEGMENTS + 1, OLDER),
    ]
    assert sorted(result.batch for result in results[2:]) == sorted(
        [*range(4), *[SEALED] * 8, *[FINISHED] * 2]
    )
    assert {len(result.files) for result in results if result.batch >= 0} == {len(files[0].names)}


def test_when_too_much_waits_handing_out_waits_for_the_index(
    pool: HelperPool, files: list[Group], tmp_path: Path
) -> None:
    results: list[BatchResult] = []
    pool.fill(Chunks(tmp_path / "gate"), results.append)
    for number in range(MOST_HELD):
        pool.submit(number, files, results.append)
    assert results == []
    (tmp_path / "gate").touch()
    pool.submit(MOST_HELD, files, results.append)
    assert [result.batch for result in results[:2]] == [FILLED, FILLED]
    pool.drain(results.append)
    assert sorted(result.batch for result in results[2:]) == list(range(MOST_HELD + 1))


@pytest.mark.parametrize(
    ("end", "error"),
    [(CorruptedBackupError("i/0 is damaged.", "i/0"), CorruptedBackupError), (3, InternalError)],
    ids=["the list is damaged", "the helper dies"],
)
def test_an_index_that_cannot_be_filled_ends_the_backup(
    pool: HelperPool, files: list[Group], tmp_path: Path, end: object, error: type[Exception]
) -> None:
    results: list[BatchResult] = []
    (tmp_path / "gate").touch()
    pool.fill(Chunks(tmp_path / "gate", end), results.append)
    with pytest.raises(error):
        pool.submit(0, files, results.append)
        pool.drain(results.append)
    assert results == []
