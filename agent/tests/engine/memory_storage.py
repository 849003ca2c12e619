# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A storage in memory: as strict as the others, fast enough for tens of thousands of restores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from papi_backup.engine.storage.protocol import ObjectExistsError, ObjectInfo, ObjectMissingError


class MemoryStorage:
    """Implements ``protocol.Storage`` over a dictionary; calling it opens it once more.

    Within one process only: what a forked process writes stays there.
    """

    def __init__(self, objects: dict[str, bytes] | None = None) -> None:
        self.objects = {} if objects is None else objects

    def __call__(self) -> MemoryStorage:
        """Serve as its own ``protocol.StorageOpener``."""
        return self

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See ``protocol.Storage.list``."""
        for name, data in list(self.objects.items()):
            if name.startswith(prefix):
                yield ObjectInfo(name, len(data), 0.0)

    def list_children(self, prefix: str) -> Sequence[str]:
        """See ``protocol.Storage.list_children``."""
        below = (name[len(prefix) :] for name in self.objects if name.startswith(prefix))
        return sorted({rest.partition("/")[0] for rest in below if "/" in rest})

    def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """See ``protocol.Storage.get``."""
        data = self._find(name)
        return data[offset:] if length is None else data[offset : offset + length]

    def stat(self, name: str) -> ObjectInfo:
        """See ``protocol.Storage.stat``."""
        return ObjectInfo(name, len(self._find(name)), 0.0)

    def create(self, name: str, size_hint: int = 0) -> MemoryWriter:
        """See ``protocol.Storage.create``."""
        del size_hint
        return MemoryWriter(self.objects, name)

    def delete(self, names: Sequence[str]) -> None:
        """See ``protocol.Storage.delete``."""
        for name in names:
            self.objects.pop(name, None)

    def close(self) -> None:
        """See ``protocol.Storage.close``."""

    def _find(self, name: str) -> bytes:
        try:
            return self.objects[name]
        except KeyError:
            raise ObjectMissingError(name) from None


class MemoryWriter:
    """Implements ``protocol.ObjectWriter``."""

    def __init__(self, objects: dict[str, bytes], name: str) -> None:
        self._objects = objects
        self._name = name
        self._parts: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See ``protocol.ObjectWriter.write``."""
        self._parts.append(bytes(data))

    def commit(self) -> None:
        """See ``protocol.ObjectWriter.commit``."""
        if self._name in self._objects:
            raise ObjectExistsError(self._name)
        self._objects[self._name] = b"".join(self._parts)

    def abort(self) -> None:
        """See ``protocol.ObjectWriter.abort``."""
