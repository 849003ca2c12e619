# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A storage that takes no more of the line than it may, around any other storage.

The bodies of objects are counted, before they go up and before they are asked for; names, listings and
the transport's own bytes are not.  A transport that gathers an object until its commit (S3) sends it
then as fast as it can: there the limit holds from object to object.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from papi_backup.engine.storage.bucket import SharedBucket
from papi_backup.engine.storage.connecting import Connectable, Entering, untold
from papi_backup.engine.storage.protocol import ObjectInfo, ObjectWriter
from papi_backup.engine.storage.unfinished import unfinished_of
from papi_backup.model.limits import Limits

SMALLEST_READ = 256 << 10
"""Bytes of a read at the least: each costs a round trip."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """The budgets of one job; shared by what is forked after they are made."""

    upload: SharedBucket
    download: SharedBucket

    @classmethod
    def of(cls, limits: Limits) -> Buckets:
        """Make budgets that follow ``limits`` by the host's clock."""
        zone = ZoneInfo(limits.zone)
        return cls(
            SharedBucket(lambda: limits.at(datetime.now(zone)).upload),
            SharedBucket(lambda: limits.at(datetime.now(zone)).download),
        )


class ThrottledStorage:
    """Implements ``connecting.Connectable`` around ``inner``."""

    def __init__(self, inner: Connectable, buckets: Buckets) -> None:
        self._inner = inner
        self._buckets = buckets

    @property
    def host_key(self) -> str:
        """See ``connecting.Connectable.host_key``."""
        return self._inner.host_key

    def room(self) -> int | None:
        """See ``connecting.Connectable.room``."""
        return self._inner.room()

    def open(self, entering: Entering = untold) -> None:
        """See ``connecting.Connectable.open``."""
        self._inner.open(entering)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See ``protocol.Storage.list``."""
        return self._inner.list(prefix)

    def list_children(self, prefix: str) -> Sequence[str]:
        """See ``protocol.Storage.list_children``."""
        return self._inner.list_children(prefix)

    def unfinished(self) -> Sequence[ObjectInfo]:
        """See ``unfinished.ShowsUnfinished``."""
        return unfinished_of(self._inner)

    def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """See ``protocol.Storage.get``; a range comes in pieces, so that it does not come at once."""
        bucket = self._buckets.download
        if length is None:  # nobody knows how much before it is here
            data = self._inner.get(name, offset)
            bucket.take_all(len(data))
            return data
        parts = []
        position, end = offset, offset + length
        while True:
            size = bucket.take(end - position, SMALLEST_READ)
            part = self._inner.get(name, position, size)
            parts.append(part)
            position += size
            if position >= end or len(part) < size:
                return part if len(parts) == 1 else b"".join(parts)

    def stat(self, name: str) -> ObjectInfo:
        """See ``protocol.Storage.stat``."""
        return self._inner.stat(name)

    def create(self, name: str, size_hint: int = 0) -> ThrottledWriter:
        """See ``protocol.Storage.create``."""
        return ThrottledWriter(self._inner.create(name, size_hint), self._buckets.upload)

    def delete(self, names: Sequence[str]) -> None:
        """See ``protocol.Storage.delete``."""
        self._inner.delete(names)

    def close(self) -> None:
        """See ``protocol.Storage.close``."""
        self._inner.close()


class ThrottledWriter:
    """Implements ``protocol.ObjectWriter`` around ``inner``."""

    def __init__(self, inner: ObjectWriter, bucket: SharedBucket) -> None:
        self._inner = inner
        self._bucket = bucket

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See ``protocol.ObjectWriter.write``."""
        with memoryview(data).cast("B") as view:
            position = 0
            while position < len(view):
                size = self._bucket.take(len(view) - position)
                self._inner.write(view[position : position + size])
                position += size

    def commit(self) -> None:
        """See ``protocol.ObjectWriter.commit``."""
        self._inner.commit()

    def abort(self) -> None:
        """See ``protocol.ObjectWriter.abort``."""
        self._inner.abort()
