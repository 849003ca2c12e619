# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts what a job costs where the clock plays no part: bytes, objects, requests, calls."""

from __future__ import annotations

import cProfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from memory_storage import MemoryStorage, MemoryWriter

from papi_backup.engine.storage.protocol import ObjectInfo


class CountingStorage(MemoryStorage):
    """A storage in memory that counts requests by kind (``list``, ``get``, ``stat``, ``create``)."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: Counter[str] = Counter()

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        self.requests["list"] += 1
        return super().list(prefix)

    def list_children(self, prefix: str) -> Sequence[str]:
        self.requests["list"] += 1
        return super().list_children(prefix)

    def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        self.requests["get"] += 1
        return super().get(name, offset, length)

    def stat(self, name: str) -> ObjectInfo:
        self.requests["stat"] += 1
        return super().stat(name)

    def create(self, name: str, size_hint: int = 0) -> MemoryWriter:
        self.requests["create"] += 1
        return super().create(name, size_hint)

    @property
    def held(self) -> int:
        """Bytes in all objects."""
        return sum(map(len, self.objects.values()))


@dataclass(frozen=True)
class Cost:
    """What one job took.

    ``stored`` in bytes; ``requests`` to the storage; ``kernel`` counts calls into the kernel by way of the
    ``os`` module and ``openat2``, ``calls`` all calls of functions, Python's and C's.
    """

    stored: int
    requests: int
    kernel: int
    calls: int

    def per_file(self, smaller: Cost, files: int) -> tuple[float, float]:
        """Return kernel calls and calls for each of the ``files`` that this job has more than ``smaller``."""
        return (self.kernel - smaller.kernel) / files, (self.calls - smaller.calls) / files


def cost_of(job: Callable[[], object], storage: CountingStorage) -> Cost:
    """Run ``job`` in this thread under the profiler and return what it took."""
    held = storage.held
    storage.requests.clear()
    profile = cProfile.Profile()
    profile.runcall(job)
    counts = [(entry.code, entry.callcount) for entry in profile.getstats()]
    kernel = sum(count for code, count in counts if _enters(code if isinstance(code, str) else code.co_name))
    return Cost(storage.held - held, storage.requests.total(), kernel, sum(count for _code, count in counts))


def _enters(name: str) -> bool:
    """Return whether a built-in function is of ``os`` and asks the kernel: ``fspath`` and its like do not.

    So does ``openat2``, which is one of ours, because ``os`` has none.
    """
    return name == "openat2" or (
        "posix." in name
        and not any(word in name for word in ("fspath", "fsencode", "fsdecode", "getpid", "scandir.__"))
    )
