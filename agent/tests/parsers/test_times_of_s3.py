# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times that an S3 server tells: what is none is refused, and one without a zone is UTC."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from saying import SayingServer

from papi_backup.engine.storage.backoff import ONCE
from papi_backup.engine.storage.s3 import S3ObjectStorage
from papi_backup.engine.storage.s3_answers import S3Timeouts
from papi_backup.model.errors import TransferError
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage

NO_TIMES = {
    "no words of a time": b"x",
    "a minute of 29 digits": b"Sun0:10000000000000000000000000000",
    "a year beyond all zones": b"Sun0010000000000",
    "a zone of four days": b"2026-03-01T12:30:00+99:99",
}


class Place:
    """A storage on a server that tells one time in all places."""

    def __init__(self, server: SayingServer) -> None:
        self._server = server
        entry = S3Storage("s3", "AK", Secret("SK"), "bucket", 8, server.url, "us-east-1")
        self.storage = S3ObjectStorage(entry, S3Timeouts(5, 5, 1, 5), ONCE)

    def listed(self, time: bytes) -> float:
        """Return the time of an object that a listing tells."""
        contents = (
            b"<Contents><Key>k</Key><Size>1</Size><LastModified>" + time + b"</LastModified></Contents>"
        )
        page = b"<ListBucketResult><IsTruncated>false</IsTruncated>" + contents + b"</ListBucketResult>"
        self._server.says(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(page), page)
        )
        (found,) = self.storage.list("")
        return found.modified

    def looked_at(self, time: bytes, *headers: bytes) -> float:
        """Return the time of an object that is asked for alone."""
        told = (
            b"HTTP/1.1 200 OK",
            b"Connection: close",
            b"Content-Length: 1",
            b"Last-Modified: " + time,
            *headers,
        )
        self._server.says(b"\r\n".join((*told, b"", b"")))
        return self.storage.stat("k").modified


@pytest.fixture
def place() -> Iterator[Place]:
    place = Place(SayingServer())
    yield place
    place.storage.close()


@pytest.mark.parametrize("time", NO_TIMES.values(), ids=NO_TIMES)
def test_what_is_no_time_is_an_answer_that_makes_no_sense(place: Place, time: bytes) -> None:
    for ask in (place.listed, place.looked_at):
        with pytest.raises(TransferError, match="makes no sense"):
            ask(time)


def test_an_object_whose_end_is_no_time_is_refused_or_found(place: Place) -> None:
    for time in NO_TIMES.values():
        try:
            place.looked_at(b"Sun, 01 Mar 2026 12:30:00 GMT", b"Expires: " + time)
        except TransferError as error:
            assert "makes no sense" in error.message


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        (b"2026-03-01T12:30:00.000Z", 1_772_368_200.0),
        (b"2026-03-01T12:30:00", 1_772_368_200.0),
        (b"Sun, 01 Mar 2026 12:30:00 GMT", 1_772_368_200.0),
        (b"2026-03-01T13:30:00+01:00", 1_772_368_200.0),
        (b"0001-01-01T00:00:00", -62_135_596_800.0),
    ],
)
def test_a_time_without_a_zone_is_utc(place: Place, time: bytes, seconds: float) -> None:
    assert place.listed(time) == seconds
    assert place.looked_at(time) == seconds
