# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One object on its way to S3: one ``put_object`` up to 64 MiB, a multipart upload above.

Creation is exclusive by ``If-None-Match: *``.  Some servers refuse that header and some ignore it
silently, so off AWS the name is looked up first as well, and afterwards the object must carry this
writer's mark: an ``x-amz-meta-papi-writer`` of random digits, which also tells our own object from
another's when a reply was lost and the repeated call was refused.
"""

from __future__ import annotations

import secrets
from typing import Any

from papi_backup.engine.storage.backoff import RetryPolicy, persistently
from papi_backup.engine.storage.protocol import ObjectExistsError
from papi_backup.engine.storage.s3_checksums import Checksums, part
from papi_backup.engine.storage.s3_place import S3Place, S3RefusalError
from papi_backup.model.errors import PapiError, TransferError
from papi_backup.model.sizes import MEBIBYTE

IN_ONE = 64 * MEBIBYTE
"""Largest object sent with one request, which costs the client half the CPU of a managed upload."""
PART = 16 * MEBIBYTE
_MOST_PARTS = 9000
_MARK = "papi-writer"


class S3Writer:
    """Implements ``protocol.ObjectWriter``."""

    def __init__(self, place: S3Place, name: str, size_hint: int, retry: RetryPolicy) -> None:
        self._place = place
        self._name = name
        self._key = place.key(name)
        self._retry = retry
        self._doing = f"writing {name}"
        self._checksums = Checksums(place)
        self._mark = secrets.token_hex(16)
        self._in_one = IN_ONE if size_hint <= IN_ONE else PART
        self._part_size = max(PART, -(-size_hint // _MOST_PARTS))
        self._buffer = bytearray()
        self._size = 0
        self._commits = 0
        self._upload = ""
        self._parts: list[dict[str, Any]] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See ``protocol.ObjectWriter.write``."""
        with memoryview(data).cast("B") as view:
            self._buffer += view
            self._size += len(view)
        if len(self._buffer) > self._in_one or self._upload:
            while len(self._buffer) > self._part_size:
                self._send_part(self._part_size)

    def commit(self) -> None:
        """See ``protocol.ObjectWriter.commit``; after ``TransientError`` it may be called again."""
        self._commits += 1
        again = self._commits > 1
        found = None if self._place.is_aws and not again else self._found()
        if found is None:
            self._create()
        elif not (again and self._is_ours(found, True)):
            raise ObjectExistsError(self._name)
        self._check()
        self._upload = ""
        self._buffer.clear()

    def abort(self) -> None:
        """See ``protocol.ObjectWriter.abort``."""
        upload, self._upload = self._upload, ""
        self._buffer.clear()
        if not upload:
            return
        try:
            self._place.call("abort_multipart_upload", self._doing, Key=self._key, UploadId=upload)
        except (S3RefusalError, PapiError):
            return  # a lifecycle rule of the bucket, or the next clean-up, removes it

    def _send_part(self, size: int) -> None:
        """Send the first ``size`` buffered bytes as the next part; a part is safe to send twice."""
        if not self._upload:
            self._upload = self._started()
        number = len(self._parts) + 1
        body = bytes(memoryview(self._buffer)[:size])
        checksum = self._checksums.of(body)
        answer = self._persist("upload_part", UploadId=self._upload, PartNumber=number, Body=body, **checksum)
        self._parts.append(part(number, answer, checksum))
        del self._buffer[:size]

    def _started(self) -> str:
        """Start an upload in parts; return its id."""
        mark = {_MARK: self._mark}
        try:
            answer = self._checksums.accepted(
                lambda: self._persisted("create_multipart_upload", Metadata=mark, **self._checksums.upload)
            )
        except S3RefusalError as error:
            raise self._place.refusal(error, self._doing) from error
        return str(answer["UploadId"])

    def _create(self) -> None:
        """Make the object visible, only if there is none of that name."""
        if self._upload:
            if self._buffer:
                self._send_part(len(self._buffer))
            parts = {"Parts": self._parts}
            self._publish("complete_multipart_upload", UploadId=self._upload, MultipartUpload=parts)
        else:
            self._publish("put_object", Body=self._buffer, Metadata={_MARK: self._mark})

    def _publish(self, method: str, **parameters: Any) -> None:
        try:
            self._create_only(method, **parameters)
        except S3RefusalError as error:
            lost_reply = error.is_precondition or error.code == "NoSuchUpload"
            found = self._found() if lost_reply else None
            if found is None:
                raise self._place.refusal(error, self._doing) from error
            if not self._is_ours(found, error.repeated or self._commits > 1):
                raise ObjectExistsError(self._name) from error

    def _create_only(self, method: str, **parameters: Any) -> None:
        def create(**condition: str) -> None:
            checksum = self._checksums.of(parameters["Body"]) if "Body" in parameters else {}
            self._place.call(method, self._doing, Key=self._key, **condition, **checksum, **parameters)

        try:
            self._checksums.accepted(lambda: create(IfNoneMatch="*"))
            return
        except S3RefusalError as error:
            if not error.is_unsupported:
                raise
        if self._found() is not None:  # the next best thing on a server without conditional writes
            raise ObjectExistsError(self._name)
        self._checksums.accepted(create)

    def _found(self) -> dict[str, Any] | None:
        """Return what the server says of the object of our name; None if there is none."""
        try:
            answer: dict[str, Any] = self._place.call("head_object", self._doing, Key=self._key)
        except S3RefusalError as error:
            if error.is_missing:
                return None
            raise self._place.refusal(error, self._doing) from error
        return answer

    def _is_ours(self, found: dict[str, Any], repeated: bool) -> bool:
        """Whether a found object is this writer's; a server without metadata leaves size and history."""
        if found["ContentLength"] != self._size:
            return False
        mark = found.get("Metadata", {}).get(_MARK)
        return mark == self._mark if mark is not None else repeated

    def _check(self) -> None:
        """Look at the object: its size, and that no other writer has replaced it meanwhile."""
        found = self._found()
        if found is None or found["ContentLength"] != self._size:
            there = "nothing" if found is None else f"{found['ContentLength']} bytes"
            raise TransferError(f"{self._doing}: {self._size} bytes were sent, {there} is there")
        if not self._is_ours(found, True):
            raise ObjectExistsError(self._name)

    def _persist(self, method: str, **parameters: Any) -> Any:
        """Make a call that is safe to repeat, while there is hope."""
        try:
            return self._persisted(method, **parameters)
        except S3RefusalError as error:
            raise self._place.refusal(error, self._doing) from error

    def _persisted(self, method: str, **parameters: Any) -> Any:
        """Do the same; raises :class:`S3RefusalError` for a final answer."""
        return persistently(
            lambda: self._place.call(method, self._doing, Key=self._key, **parameters),
            self._retry,
            self._doing,
        )
