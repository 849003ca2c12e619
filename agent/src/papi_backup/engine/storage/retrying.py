# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A storage that repeats what failed for a reason that may pass, around any other storage.

Only :class:`TransientError` and, once connected, :class:`UnreachableError` are repeated; every
operation of the protocol is safe to repeat, but ``ObjectWriter.write``: a transport that wants
that to survive a broken connection resumes by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from papi_backup.engine.storage.ahead import Later, Pending, begin_get
from papi_backup.engine.storage.backoff import Attempts, RetryPolicy, persistently
from papi_backup.engine.storage.bounds import ListingBound
from papi_backup.engine.storage.connecting import (
    Connectable,
    Entering,
    TransientError,
    UnreachableError,
    untold,
)
from papi_backup.engine.storage.protocol import ObjectInfo, ObjectWriter
from papi_backup.engine.storage.unfinished import unfinished_of
from papi_backup.model.errors import InvalidStorageError, TransferError

T = TypeVar("T")


class RetryingStorage:
    """Implements ``connecting.Connectable`` around ``inner``."""

    def __init__(self, inner: Connectable, policy: RetryPolicy) -> None:
        self._inner = inner
        self._policy = policy

    @property
    def host_key(self) -> str:
        """See ``connecting.Connectable.host_key``."""
        return self._inner.host_key

    def room(self) -> int | None:
        """See ``connecting.Connectable.room``."""
        return self._again(self._inner.room, "asking for the room")

    def open(self, entering: Entering = untold) -> None:
        """Connect for the first time: an address where nobody answers is not tried again."""
        attempts = Attempts(self._policy, "connecting")
        while True:
            try:
                self._inner.open(entering)
                return
            except TransientError as error:
                try:
                    attempts.failed(error)
                except TransferError as given_up:
                    raise InvalidStorageError(given_up.message) from error

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See ``protocol.Storage.list``; a listing that breaks begins again, yielding nothing twice."""
        doing = f"listing {prefix or 'everything'}"
        attempts, bound = Attempts(self._policy, doing), ListingBound(doing)
        seen: set[str] = set()
        while True:
            try:
                for found in self._inner.list(prefix):
                    if found.name not in seen:
                        bound.take((found.name,))
                        seen.add(found.name)
                        yield found
                return
            except (TransientError, UnreachableError) as error:
                attempts.failed(error)

    def list_children(self, prefix: str) -> Sequence[str]:
        """See ``protocol.Storage.list_children``."""
        return self._again(lambda: self._inner.list_children(prefix), f"listing {prefix or 'everything'}")

    def unfinished(self) -> Sequence[ObjectInfo]:
        """See ``unfinished.ShowsUnfinished``."""
        return self._again(lambda: unfinished_of(self._inner), "listing unfinished objects")

    def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """See ``protocol.Storage.get``."""
        return self._again(lambda: self._inner.get(name, offset, length), f"reading {name}")

    def begin_get(self, name: str, offset: int, length: int) -> Pending:
        """See ``ahead.ReadsAhead``; what breaks on the way is read anew."""
        pending = begin_get(self._inner, name, offset, length)

        def result() -> bytes:
            try:
                return pending.result()
            except (TransientError, UnreachableError):
                return self.get(name, offset, length)

        return Later(result)

    def stat(self, name: str) -> ObjectInfo:
        """See ``protocol.Storage.stat``."""
        return self._again(lambda: self._inner.stat(name), f"looking at {name}")

    def create(self, name: str, size_hint: int = 0) -> RetryingWriter:
        """See ``protocol.Storage.create``."""
        doing = f"writing {name}"
        writer = self._again(lambda: self._inner.create(name, size_hint), doing)
        return RetryingWriter(writer, self._policy, doing)

    def delete(self, names: Sequence[str]) -> None:
        """See ``protocol.Storage.delete``."""
        self._again(lambda: self._inner.delete(names), f"deleting {len(names)} objects")

    def close(self) -> None:
        """See ``protocol.Storage.close``."""
        self._inner.close()

    def _again(self, operation: Callable[[], T], doing: str) -> T:
        return persistently(operation, self._policy, doing)


class RetryingWriter:
    """Implements ``protocol.ObjectWriter`` around ``inner``."""

    def __init__(self, inner: ObjectWriter, policy: RetryPolicy, doing: str) -> None:
        self._inner = inner
        self._policy = policy
        self._doing = doing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See ``protocol.ObjectWriter.write``; not repeated here, it might append twice."""
        try:
            self._inner.write(data)
        except (TransientError, UnreachableError) as error:
            raise TransferError(f"{self._doing}: {error}") from error

    def commit(self) -> None:
        """See ``protocol.ObjectWriter.commit``."""
        persistently(self._inner.commit, self._policy, self._doing)

    def abort(self) -> None:
        """See ``protocol.ObjectWriter.abort``."""
        self._inner.abort()
