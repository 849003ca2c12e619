# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A prefix of an S3 bucket as a storage: AWS, or any server that ``endpoint_url`` names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from papi_backup.engine.storage.ahead import Pending
from papi_backup.engine.storage.backoff import RetryPolicy
from papi_backup.engine.storage.connecting import Entering, untold
from papi_backup.engine.storage.names import TEMPORARY, checked_name, checked_prefix
from papi_backup.engine.storage.parallel_reads import ParallelReads
from papi_backup.engine.storage.protocol import ObjectInfo, ObjectMissingError
from papi_backup.engine.storage.s3_answers import S3Answers, S3Timeouts
from papi_backup.engine.storage.s3_listing import pages
from papi_backup.engine.storage.s3_place import S3Place, S3RefusalError, Sender
from papi_backup.engine.storage.s3_writer import S3Writer
from papi_backup.model.storage import S3Storage

_BATCH = 1000
_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "404"})


class S3ObjectStorage:
    """Implements ``connecting.Connectable``; parts of large objects are repeated as ``retry`` says."""

    def __init__(
        self,
        storage: S3Storage,
        timeouts: S3Timeouts = S3Timeouts(),  # noqa: B008 -- frozen
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 -- frozen
        sender: Sender = S3Answers,
    ) -> None:
        self._place = S3Place(storage, timeouts, sender)
        self._retry = retry
        self._reads = ParallelReads(self.get)

    @property
    def host_key(self) -> str:
        """See ``connecting.Connectable.host_key``: there is none."""
        return ""

    def room(self) -> int | None:
        """See ``connecting.Connectable.room``: S3 has no such question."""
        return None

    def open(self, entering: Entering = untold) -> None:
        """See ``connecting.Connectable.open``."""
        self._place.open(entering)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See ``protocol.Storage.list``."""
        for page in pages(self._place, checked_prefix(prefix)):
            for item in page.get("Contents", []):
                name = self._place.name(item["Key"])
                if not name.endswith("/") and not name.startswith(f"{TEMPORARY}/"):
                    yield ObjectInfo(name, item["Size"], item["LastModified"].timestamp())

    def list_children(self, prefix: str) -> Sequence[str]:
        """See ``protocol.Storage.list_children``."""
        checked_prefix(prefix)
        children = {
            self._place.name(item["Prefix"])[len(prefix) :].strip("/")
            for page in pages(self._place, prefix, delimiter="/")
            for item in page.get("CommonPrefixes", [])
        }
        return sorted(children - ({TEMPORARY} if not prefix else set()))

    def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """See ``protocol.Storage.get``."""
        doing = f"reading {checked_name(name)}"
        if length == 0:
            self.stat(name)
            return b""
        try:
            return self._place.fetch(self._place.key(name), offset, length, doing)
        except S3RefusalError as error:
            if error.is_missing:
                raise ObjectMissingError(name) from error
            if error.status == 416:  # the range begins at the end or behind it
                return b""
            raise self._place.refusal(error, doing) from error

    def begin_get(self, name: str, offset: int, length: int) -> Pending:
        """See ``ahead.ReadsAhead``."""
        return self._reads.begin(name, offset, length)

    def stat(self, name: str) -> ObjectInfo:
        """See ``protocol.Storage.stat``."""
        doing = f"looking at {checked_name(name)}"
        try:
            answer = self._place.call("head_object", doing, Key=self._place.key(name))
        except S3RefusalError as error:
            if error.is_missing:
                raise ObjectMissingError(name) from error
            raise self._place.refusal(error, doing) from error
        return ObjectInfo(name, answer["ContentLength"], answer["LastModified"].timestamp())

    def create(self, name: str, size_hint: int = 0) -> S3Writer:
        """See ``protocol.Storage.create``; up to 64 MiB are held in memory until :meth:`commit`."""
        return S3Writer(self._place, checked_name(name), size_hint, self._retry)

    def delete(self, names: Sequence[str]) -> None:
        """See ``protocol.Storage.delete``."""
        keys = [self._place.key(checked_name(name)) for name in dict.fromkeys(names)]
        for start in range(0, len(keys), _BATCH):
            self._delete_batch(keys[start : start + _BATCH])

    def close(self) -> None:
        """See ``protocol.Storage.close``."""
        self._reads.close()
        self._place.close()

    def _delete_batch(self, keys: Sequence[str]) -> None:
        """Delete up to 1,000 keys with one call; one by one where a server does not take that."""
        doing = f"deleting {len(keys)} objects"
        order = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
        try:
            answer = self._place.call("delete_objects", doing, Delete=order)
        except S3RefusalError as error:
            if not error.is_unsupported:
                raise self._place.refusal(error, doing) from error
            for key in keys:
                self._delete_one(key)
            return
        for problem in answer.get("Errors", []):
            if problem.get("Code") not in _GONE and problem.get("Key") in keys:
                self._delete_one(problem["Key"])

    def _delete_one(self, key: str) -> None:
        """Delete one key; what is refused here is said with its name."""
        doing = f"deleting {self._place.name(key)}"
        try:
            self._place.call("delete_object", doing, Key=key)
        except S3RefusalError as error:
            if not error.is_missing:
                raise self._place.refusal(error, doing) from error
