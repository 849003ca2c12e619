# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes S3's answers from the wire before botocore does, which reads them whole, whatever they are.

An answer that is no object has at most 4 MiB: a page of a listing with 1,000 keys of 1,024 escaped bytes
has less.  What is no answer of an S3 server (a web page, a redirection, XML that is made to be costly) is
refused here, before botocore's parsers stumble over it.
"""

from __future__ import annotations

import http.client
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol
from xml.parsers import expat

from botocore import exceptions as boto_errors
from botocore.awsrequest import AWSResponse
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies, parse_timestamp
from urllib3.exceptions import HTTPError as Urllib3Error

from papi_backup.engine.storage.connecting import TransientError
from papi_backup.model.errors import InvalidStorageError, TransferError

LARGEST_ANSWER = 4 << 20
"""Bytes of an answer that is no object."""
LARGEST_ERROR = 64 << 10
"""Bytes of the body of an error."""
_MOST_ELEMENTS = 1 << 16
_DEEPEST = 16
_PIECE = 1 << 16
_REGION = "x-amz-bucket-region"
_WORDS = ("Code", "Message", "Region", "Endpoint")
"""Elements of an error that are read."""


class NotS3Error(TransientError):
    """What answered is no S3 server: perhaps a web page stands in its place for a while."""


@dataclass(frozen=True, slots=True)
class S3Timeouts:
    """Seconds to wait for a connection and for bytes; ``tries`` is how often botocore sends a call.

    ``answer`` is for a whole answer that is no object.
    """

    connect: float = 10.0
    read: float = 60.0
    tries: int = 3
    answer: float = 300.0


class Answers(Protocol):
    """What sends botocore's requests; registered for its event ``before-send``."""

    def send(self, request: Any, **_details: object) -> AWSResponse:
        """Send a request and return its answer; raises what :meth:`S3Place.run` understands."""

    def close(self) -> None:
        """Close idle connections; never raises."""


class S3Answers:
    """Implements :class:`Answers`."""

    def __init__(self, url: str, timeouts: S3Timeouts, bundle: str | None) -> None:
        """``bundle`` is a file of certificates to trust instead of botocore's own."""
        self._timeouts = timeouts
        self._server = url
        self._session = URLLib3Session(
            verify=bundle or os.environ.get("REQUESTS_CA_BUNDLE") or True,
            proxies=get_environ_proxies(url),
            timeout=(timeouts.connect, timeouts.read),
            socket_options=[
                (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
                (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            ],
        )

    def send(self, request: Any, **_details: object) -> AWSResponse:
        """Send a request; only the body of an object that was found is left to be read.

        Raises :class:`InvalidStorageError` for a redirection, :class:`TransferError` for too long an answer,
        :class:`NotS3Error`, and what botocore's own session raises.
        """
        is_object, request.stream_output = request.stream_output, True
        answer = self._session.send(request)
        try:
            if is_object and answer.status_code < 300:
                return answer
            failed = answer.status_code >= 300
            self._refuse_redirection(answer)
            body = self._read(answer.raw, LARGEST_ERROR if failed else LARGEST_ANSWER)
        except BaseException:
            answer.raw.close()
            raise
        if failed:
            body = body if _told_in(body) == "Error" else b""  # its status says enough
        elif body and _told_in(body) in {"", "html"}:
            kind = ascii(answer.headers.get("Content-Type", "something"))[:80]
            raise NotS3Error(f"{self._server} answers with {kind}, which is no answer of an S3 server")
        return AWSResponse(answer.url, answer.status_code, answer.headers, _Held(body))

    def close(self) -> None:
        """Close idle connections."""
        self._session.close()

    def _refuse_redirection(self, answer: AWSResponse) -> None:
        """Refuse what botocore would follow in circles; only AWS' word on a bucket's region helps it."""
        if 300 <= answer.status_code < 400 and _REGION not in answer.headers:
            place = ascii(answer.headers.get("Location", "an unnamed place"))[:200]
            raise InvalidStorageError(
                f"{self._server} redirects to {place} (HTTP {answer.status_code}): "
                "set endpoint_url to the address of the S3 server itself"
            )

    def _read(self, raw: Any, most: int) -> bytes:
        body = bytearray()
        try:
            for piece in pieces(raw, most + 1, time.monotonic() + self._timeouts.answer, time.monotonic):
                body += piece
        except (Urllib3Error, http.client.HTTPException, OSError) as error:
            raise boto_errors.ResponseStreamingError(error=error) from error
        if len(body) > most:
            raise TransferError(f"{self._server} sent more than {most >> 10} KiB where less was to come")
        return bytes(body)


class _Held:
    """A body that was read, as botocore asks for it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body


def pieces(raw: Any, most: int, end: float, clock: Callable[[], float]) -> Iterator[bytes]:
    """Yield what arrives of a body, at most ``most`` bytes, up to the time ``end`` of ``clock``."""
    while most > 0 and (piece := raw.read1(min(most, _PIECE))):
        most -= len(piece)
        yield piece
        if clock() > end:
            raise TransferError("the server sends its answer too slowly to wait for its end")


def root_of(body: bytes) -> str:
    """Return the name of the root element, without its name space; "" for what is no XML of an S3 server.

    That is what is not well-formed, has a document type (whose entities could grow without end), is nested
    deeper or has more elements than any answer of S3.
    """
    return _outline(body).root


def _told_in(body: bytes) -> str:
    """Return what :func:`root_of` does; "" too for an error whose words are no words.

    botocore looks errors up by their code, which it takes for text.
    """
    outline = _outline(body)
    is_odd = any(outline.members.count(word) > 1 or word in outline.nested for word in _WORDS)
    return "" if outline.root == "Error" and is_odd else outline.root


@dataclass(slots=True)
class _Outline:
    """The root element, the elements in it, and those of them that hold elements, without name spaces."""

    root: str = ""
    members: list[str] = field(default_factory=list)
    nested: set[str] = field(default_factory=set)


def _outline(body: bytes) -> _Outline:
    outline = _Outline()
    depth = 0
    left = _MOST_ELEMENTS

    def start(name: str, _attributes: object) -> None:
        nonlocal depth, left
        depth += 1
        left -= 1
        if depth == 1:
            outline.root = _local(name)
        elif depth == 2:
            outline.members.append(_local(name))
        else:
            outline.nested.add(outline.members[-1])
        if depth > _DEEPEST or left < 0:
            raise _CostlyError

    def end(_name: str) -> None:
        nonlocal depth
        depth -= 1

    def refuse(*_details: object) -> None:
        raise _CostlyError

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, _CostlyError, ValueError, LookupError):
        return _Outline()
    return outline


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def time_told(value: object) -> datetime:
    """Return the time that an answer tells, in UTC where the text names no zone.

    Raises ValueError for what is no time.  botocore's parser, which guesses at any text, ends in other errors
    for some.
    """
    try:
        told: datetime = parse_timestamp(value)
        told.utcoffset()  # a zone of more than a day is refused when the offset is asked for
    except (ArithmeticError, RuntimeError) as error:
        raise ValueError(f"{ascii(value)[:80]} is no time") from error
    return told if told.tzinfo else told.replace(tzinfo=UTC)


class _CostlyError(Exception):
    """XML that no S3 server sends."""
