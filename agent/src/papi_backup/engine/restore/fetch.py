# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Getting segments: ranged reads over neighbours, the next ones while the last are written.

One thread asks for all.  It asks for what is wanted next before it waits for what was wanted first:
the line never rests, and the pipeline never waits for bytes it could have asked for earlier.  What was
fetched stays sealed until it is used; what was opened stays in a small cache, because small files of one
segment come one after the other.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from papi_backup.engine.format.references import SegmentRef
from papi_backup.engine.opened import OpenedBackup, SegmentReader
from papi_backup.engine.storage.ahead import Pending, begin_get
from papi_backup.engine.storage.protocol import ObjectMissingError, Storage
from papi_backup.model.errors import CorruptedBackupError

LARGEST_READ = 4 << 20
"""Bytes of one ranged read; a request's overhead is small against it."""
WIDEST_GAP = 256 << 10
"""Unneeded bytes read along rather than asking twice."""
CACHED_RAW = 29 << 20
"""Raw bytes of opened segments kept: seven of the largest kind, and the pages that name them."""

Key = tuple[str, SegmentRef]
"""Kind (``i`` or ``d``) and segment."""
Sealed = bytes | memoryview | None
"""A segment as it came; None: its volume is missing."""


@dataclass(slots=True)
class Span:
    """One ranged read of a volume."""

    volume: str
    start: int
    end: int
    keys: list[Key] = field(default_factory=list)


def coalesce(keys: Iterable[Key], volume_of: Callable[[str, SegmentRef], str]) -> list[Span]:
    """Return the reads that get all the segments: neighbours in a volume share one."""
    spans: list[Span] = []
    ordered = sorted((volume_of(*key), key[1].offset, key) for key in keys)
    for volume, offset, key in ordered:
        end = offset + key[1].length
        last = spans[-1] if spans else None
        if (
            last is not None
            and last.volume == volume
            and offset <= last.end + WIDEST_GAP
            and end - last.start <= LARGEST_READ
        ):
            last.end = max(last.end, end)
            last.keys.append(key)
        else:
            spans.append(Span(volume, offset, end, [key]))
    return spans


class Fetcher:
    """A thread that fetches, in the order in which it is asked, with the next requests under way."""

    def __init__(self, storage: Storage, missing: frozenset[str]) -> None:
        self._storage = storage
        self._missing = missing
        self._orders: SimpleQueue[_Order | None] = SimpleQueue()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def submit(self, spans: Sequence[Span]) -> Future[dict[Key, Sealed]]:
        """Fetch spans; a segment whose volume is missing or ends too early comes back as None or short."""
        order = _Order(spans)
        self._orders.put(order)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="fetch", daemon=True)
            self._thread.start()
        return order.future

    def close(self, *, wait: bool) -> None:
        """End the thread, once what it waits for is there; ``wait`` for that."""
        self._stopped = True
        self._orders.put(None)
        if wait and self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        under_way: deque[_Order] = deque()
        while not self._stopped:
            try:
                order = self._orders.get(block=not under_way)
            except Empty:
                under_way.popleft().finish()
                continue
            if order is not None:
                order.begin(self._storage, self._missing)
                under_way.append(order)
            del order  # what it brings is not kept until the next one comes


class _Order:
    """Spans that are wanted together."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._spans = spans
        self._pending: list[Pending | None] = []
        self.future: Future[dict[Key, Sealed]] = Future()

    def begin(self, storage: Storage, missing: frozenset[str]) -> None:
        """Ask for all of them."""
        for span in self._spans:
            length = span.end - span.start
            there = span.volume not in missing
            self._pending.append(begin_get(storage, span.volume, span.start, length) if there else None)

    def finish(self) -> None:
        """Wait for them and tell what came."""
        found: dict[Key, Sealed] = {}
        try:
            for span, pending in zip(self._spans, self._pending, strict=True):
                found.update(_cut(span, pending))
        except BaseException as error:  # told to whoever waits for it, as it is
            self.future.set_exception(error)
        else:
            self.future.set_result(found)
        self._pending = []


def _cut(span: Span, pending: Pending | None) -> dict[Key, Sealed]:
    try:
        data = None if pending is None else pending.result()
    except ObjectMissingError:
        data = None
    if data is None:
        return dict.fromkeys(span.keys)
    if len(span.keys) == 1:
        return {span.keys[0]: data}
    view = memoryview(data)
    starts = [(key, key[1].offset - span.start) for key in span.keys]
    return {key: view[start : start + key[1].length] for key, start in starts}


class SegmentSource:
    """Opened segments of one backup, fetched ahead where the reader says what it will need.

    Raises what the storage raises, and CorruptedBackupError naming the volume of a damaged segment.
    """

    def __init__(self, storage: Storage, opened: OpenedBackup, missing: frozenset[str]) -> None:
        self._opened = opened
        self._reader = SegmentReader(storage, opened)
        self._fetcher = Fetcher(storage, missing)
        self._ahead: dict[Key, Future[dict[Key, Sealed]]] = {}
        self._raw: OrderedDict[Key, bytes | memoryview] = OrderedDict()
        self._raw_bytes = 0
        self.transferred = 0
        self.touched: set[str] = set()

    def wants(self, key: Key) -> bool:
        """Return whether a segment is neither here nor on its way; one that is here stays for its use."""
        if key in self._raw:
            self._raw.move_to_end(key)
            return False
        return key not in self._ahead

    def request(self, keys: Iterable[Key]) -> None:
        """Start to fetch segments that are not here yet."""
        wanted = [key for key in dict.fromkeys(keys) if self.wants(key)]
        if not wanted:
            return
        spans = coalesce(wanted, self._opened.volume)
        self.touched.update(span.volume for span in spans)
        future = self._fetcher.submit(spans)
        for key in wanted:
            self._ahead[key] = future

    def raw(self, kind: str, segment: SegmentRef) -> bytes | memoryview:
        """Return a segment's raw bytes; valid as long as the caller holds them."""
        key = (kind, segment)
        raw = self._raw.get(key)
        if raw is not None:
            self._raw.move_to_end(key)
            return raw
        self.request((key,))
        sealed = self._ahead.pop(key).result().pop(key)
        if sealed is None:
            name = self._opened.volume(kind, segment)
            raise CorruptedBackupError(f"{name} is missing.", name)
        self.transferred += len(sealed)
        raw = self._reader.open(kind, segment, sealed)
        self._keep(key, raw)
        return raw

    def drop(self, keys: Iterable[Key]) -> None:
        """Let go of segments that were asked for and will not be used after all."""
        for key in keys:
            self._ahead.pop(key, None)

    def _keep(self, key: Key, raw: bytes | memoryview) -> None:
        self._raw[key] = raw
        self._raw_bytes += len(raw)
        while self._raw_bytes > CACHED_RAW and len(self._raw) > 1:
            _unused, dropped = self._raw.popitem(last=False)
            self._raw_bytes -= len(dropped)

    def close(self, *, wait: bool = True) -> None:
        """End the fetching thread; the storage is its owner's to close."""
        self._fetcher.close(wait=wait)
