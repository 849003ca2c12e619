# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A storage that fails as a script says, around any other storage: for tests.

Calls are counted per method from 1, over the storage and all its writers.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from papi_backup.engine.storage.connecting import Connectable, Entering, untold
from papi_backup.engine.storage.protocol import ObjectInfo, ObjectWriter
from papi_backup.engine.storage.unfinished import unfinished_of

T = TypeVar("T")
Method = Literal[
    "open", "list", "list_children", "get", "stat", "create", "delete", "close", "write", "commit", "abort"
]


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong in the ``number``-th call of ``method``.

    ``error`` is raised before the call is carried out, or after it (``after``: a lost reply).
    ``flip`` is the place of a bit that comes back altered from ``get``.  ``keep`` is how many
    entries a listing has before it ends, with ``error`` or as if nothing were wrong.
    """

    method: Method
    number: int = 1
    error: Exception | None = None
    after: bool = False
    flip: int | None = None
    keep: int | None = None


_NOTHING = Fault("open")


class FaultyStorage:
    """Implements ``connecting.Connectable`` around ``inner``; ``calls`` is the history."""

    def __init__(self, inner: Connectable, faults: Sequence[Fault] = ()) -> None:
        self._inner = inner
        self._faults = {(fault.method, fault.number): fault for fault in faults}
        self._counts: Counter[str] = Counter()
        self.calls: list[tuple[Method, str]] = []

    @property
    def host_key(self) -> str:
        """See ``connecting.Connectable.host_key``."""
        return self._inner.host_key

    def room(self) -> int | None:
        """See ``connecting.Connectable.room``."""
        return self._inner.room()

    def open(self, entering: Entering = untold) -> None:
        """See ``connecting.Connectable.open``."""
        self.carry_out("open", "", lambda: self._inner.open(entering))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See ``protocol.Storage.list``."""
        fault = self._count("list", prefix)
        if fault.keep is None:
            if fault.error is not None and not fault.after:
                raise fault.error
            yield from self._inner.list(prefix)
        else:
            yield from itertools.islice(self._inner.list(prefix), fault.keep)
        if fault.error is not None:
            raise fault.error

    def list_children(self, prefix: str) -> Sequence[str]:
        """See ``protocol.Storage.list_children``."""
        return self.carry_out("list_children", prefix, lambda: self._inner.list_children(prefix))

    def unfinished(self) -> Sequence[ObjectInfo]:
        """See ``unfinished.ShowsUnfinished``."""
        return unfinished_of(self._inner)

    def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """See ``protocol.Storage.get``."""
        flip = self._faults.get(("get", self._counts["get"] + 1), _NOTHING).flip
        data = self.carry_out("get", name, lambda: self._inner.get(name, offset, length))
        if flip is None or not data:
            return data
        altered = bytearray(data)
        altered[flip // 8 % len(data)] ^= 1 << flip % 8
        return bytes(altered)

    def stat(self, name: str) -> ObjectInfo:
        """See ``protocol.Storage.stat``."""
        return self.carry_out("stat", name, lambda: self._inner.stat(name))

    def create(self, name: str, size_hint: int = 0) -> FaultyWriter:
        """See ``protocol.Storage.create``."""
        writer = self.carry_out("create", name, lambda: self._inner.create(name, size_hint))
        return FaultyWriter(self, writer, name)

    def delete(self, names: Sequence[str]) -> None:
        """See ``protocol.Storage.delete``."""
        self.carry_out("delete", " ".join(names), lambda: self._inner.delete(names))

    def close(self) -> None:
        """See ``protocol.Storage.close``."""
        self.carry_out("close", "", self._inner.close)

    def carry_out(self, method: Method, what: str, call: Callable[[], T]) -> T:
        """Do ``call`` with the fault that the script has for it."""
        fault = self._count(method, what)
        if fault.error is not None and not fault.after:
            raise fault.error
        result = call()
        if fault.error is not None:
            raise fault.error
        return result

    def _count(self, method: Method, what: str) -> Fault:
        self._counts[method] += 1
        self.calls.append((method, what))
        return self._faults.get((method, self._counts[method]), _NOTHING)


class FaultyWriter:
    """Implements ``protocol.ObjectWriter`` around ``inner``."""

    def __init__(self, storage: FaultyStorage, inner: ObjectWriter, name: str) -> None:
        self._storage = storage
        self._inner = inner
        self._name = name

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See ``protocol.ObjectWriter.write``."""
        self._storage.carry_out("write", self._name, lambda: self._inner.write(data))

    def commit(self) -> None:
        """See ``protocol.ObjectWriter.commit``."""
        self._storage.carry_out("commit", self._name, self._inner.commit)

    def abort(self) -> None:
        """See ``protocol.ObjectWriter.abort``."""
        self._storage.carry_out("abort", self._name, self._inner.abort)
