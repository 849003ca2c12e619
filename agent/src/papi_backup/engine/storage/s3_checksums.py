# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checksum that goes up with an object or a part, in a header: a bucket that keeps objects demands one.

CRC-32 costs least.  A provider that does not know its header refuses it; from then on the process sends an
MD5 there, which every S3 server has known from the beginning.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable
from typing import Any, TypeVar

from papi_backup.engine.storage.s3_place import S3Place, S3RefusalError

Body = bytes | bytearray
T = TypeVar("T")


class Checksums:
    """Makes the checksums for one server, and notes which kind it takes."""

    def __init__(self, place: S3Place) -> None:
        self._place = place

    @property
    def upload(self) -> dict[str, str]:
        """What the start of an upload in parts says of their checksums."""
        return {} if self._place.wants_md5 else {"ChecksumAlgorithm": "CRC32"}

    def of(self, body: Body) -> dict[str, str]:
        """Return the parameter that sends the checksum of ``body``."""
        if self._place.wants_md5:
            digest = hashlib.md5(body, usedforsecurity=False).digest()
            return {"ContentMD5": base64.b64encode(digest).decode()}
        return {"ChecksumCRC32": base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()}

    def accepted(self, call: Callable[[], T]) -> T:
        """Return ``call()``, done again with MD5 where its refusal tells of checksums."""
        try:
            return call()
        except S3RefusalError as error:
            if self._place.wants_md5 or not (error.is_unsupported and _tells_of_checksums(error)):
                raise
        self._place.wants_md5 = True
        return call()


def part(number: int, answer: dict[str, Any], checksum: dict[str, str]) -> dict[str, Any]:
    """Return what the end of an upload says of one part."""
    kept = {name: value for name, value in checksum.items() if name != "ContentMD5"}
    return {"PartNumber": number, "ETag": answer["ETag"], **kept}


def _tells_of_checksums(error: S3RefusalError) -> bool:
    return any(word in str(error).lower() for word in ("checksum", "md5"))
