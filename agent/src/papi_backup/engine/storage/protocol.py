# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one seam to every storage: named immutable objects.

Names are relative, ``/``-separated, already escaped (``format.names``).  All methods raise
:class:`StorageCredentialsError` (4000), :class:`InvalidStorageError` (4001) or
:class:`TransferError` (4005) and nothing else for what the storage does; each is safe to repeat.
One instance serves one thread at a time; a process that wants two transfers at once opens two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """A stored object.  ``size`` in bytes, ``modified`` in seconds since the epoch by server time."""

    name: str
    size: int
    modified: float


class ObjectExistsError(Exception):
    """``commit`` found an object of that name: nothing was overwritten (create-only)."""


class ObjectMissingError(Exception):
    """``get`` or ``stat`` found no object of that name."""


class ObjectWriter(Protocol):
    """One object on its way.  Nothing is visible under its name before :meth:`commit` returns."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append ``data``; the buffer may be reused by the caller when this returns."""

    def commit(self) -> None:
        """Make the object durable and visible, create-only, and check its size on the server.

        Raises :class:`ObjectExistsError` if another object has the name.  A lost reply followed
        by finding an object of exactly our content length that this writer sent is success.
        """

    def abort(self) -> None:
        """Drop what was written; never raises; a no-op after :meth:`commit`."""


class Storage(Protocol):
    """A place for objects."""

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield every object whose name starts with ``prefix`` (which ends in ``/`` or is empty),
        depth unlimited, in no promised order.  A missing place yields nothing; a listing that
        fails or is cut short raises and never looks like an empty one.
        """

    def list_children(self, prefix: str) -> Sequence[str]:
        """Return the names directly below ``prefix`` that objects lie under.

        Costs no request for each object: on S3 one for a thousand names, elsewhere a look into each directory
        until an object is found, because a directory may be empty.
        """

    def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return ``length`` bytes from ``offset`` (to the end when None); fewer only at the end.

        Raises :class:`ObjectMissingError`.
        """

    def stat(self, name: str) -> ObjectInfo:
        """Return the object's size and time.  Raises :class:`ObjectMissingError`."""

    def create(self, name: str, size_hint: int = 0) -> ObjectWriter:
        """Start a new object of about ``size_hint`` bytes."""

    def delete(self, names: Sequence[str]) -> None:
        """Delete objects and directories they leave empty; a name that is gone is no error."""

    def close(self) -> None:
        """End connections; never raises."""


class StorageOpener(Protocol):
    """Opens further connections to the same storage, also in a forked helper."""

    def __call__(self) -> Storage:
        """Return a new, connected storage."""


def holds_object(storage: Storage, prefix: str) -> bool:
    """Return whether anything lies under ``prefix``: the first object that is found ends the search."""
    return next(storage.list(prefix), None) is not None
