# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes: sealed segments one after the other in objects of at most ``file_size`` bytes."""

from __future__ import annotations

from collections.abc import Callable

from papi_backup.engine.backup.setup import WriterSetup
from papi_backup.engine.format.names import volume_name
from papi_backup.engine.format.pages import Volume
from papi_backup.engine.format.segment import Buffer
from papi_backup.engine.storage.protocol import ObjectExistsError, ObjectWriter, Storage
from papi_backup.model.errors import TransferError

NextNumber = Callable[[], int]


class VolumeWriter:
    """Appends sealed segments to volumes of one kind; one instance serves one process."""

    def __init__(
        self,
        storage: Storage,
        setup: WriterSetup,
        kind: str,
        next_number: NextNumber,
        *,
        copy: Callable[[str, int, Buffer], None] | None = None,
    ) -> None:
        self._storage = storage
        self._prefix = setup.prefix
        self._backup = setup.backup
        self._kind = kind
        self._file_size = setup.file_size
        self._next_number = next_number
        self._copy = copy
        self._writer: ObjectWriter | None = None
        self._number = 0
        self._size = 0
        self.finished: list[Volume] = []

    def place(self, size: int) -> tuple[int, int]:
        """Return (volume, offset) of the next segment; a volume it does not fit into is finished."""
        if self._writer is not None and self._size + size > self._file_size:
            self._finish()
        if self._writer is None:
            self._number = self._next_number()
            self._writer = self._storage.create(self._name(), self._file_size)
            self._size = 0
        return self._number, self._size

    def append(self, sealed: Buffer) -> None:
        """Write the segment for which :meth:`place` was just asked."""
        if self._writer is None:
            raise RuntimeError("append without place")
        self._writer.write(sealed)
        if self._copy is not None:
            self._copy(self._name(), self._size, sealed)
        self._size += len(sealed)

    def finish(self) -> list[Volume]:
        """Make the last volume durable and return all that this writer wrote."""
        self._finish()
        return self.finished

    def abort(self) -> None:
        """Drop the unfinished volume."""
        if self._writer is not None:
            self._writer.abort()
            self._writer = None

    def _name(self) -> str:
        return volume_name(self._prefix, self._backup, self._kind, self._number)

    def _finish(self) -> None:
        if self._writer is None:
            return
        try:
            self._writer.commit()
        except ObjectExistsError:
            raise TransferError(f"{self._name()} exists already and was not written by this job.") from None
        self._writer = None
        self.finished.append(Volume(self._backup, self._kind, self._number, self._size))
