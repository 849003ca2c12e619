# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Receives one request within bounds of size and time; those of strangers are tight."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.types import Receive, Scope

from papi_backup.api.gate import Source, cookie_token
from papi_backup.api.origins import PageOrigin, page_origin
from papi_backup.api.peers import Peer

PEER_KEY = "papi.peer"
"""Where the scope of a request carries the :class:`Peer` of its connection."""


@dataclass(frozen=True, slots=True)
class Limits:
    """``body`` and ``drained`` in bytes: what is taken, and what is thrown away so that the answer arrives.

    Of callers who are not known yet ``small_body`` is taken at once.  ``large_bodies`` of them at a time may
    send more, and no more than ``body`` is thrown away of theirs.

    ``head_seconds`` and ``body_seconds`` bound how long a request may take to come in; a client that takes
    nothing of its answer for ``send_seconds`` is hung up on.  ``handshake_seconds`` bound TLS's.  A listener
    has at most ``connections`` open, those that have not come through the handshake included.
    """

    body: int = 1 << 20
    small_body: int = 64 << 10
    large_bodies: int = 16
    drained: int = 16 << 20
    handshake_seconds: float = 10.0
    head_seconds: float = 15.0
    body_seconds: float = 30.0
    send_seconds: float = 30.0
    connections: int = 400


class BadBodyError(Exception):
    """The body is too large or too slow; the message is for the client.  The connection ends with it."""


class ClientGoneError(Exception):
    """The client hung up before the request was whole."""


@dataclass(frozen=True, slots=True)
class Head:
    """A request without its body."""

    method: str
    path: str
    query: bytes
    content_type: str
    token: str
    source: Source
    page: PageOrigin = field(default_factory=PageOrigin)
    arrived: float = field(default_factory=time.monotonic)
    """By :func:`time.monotonic`: promised times count from here, not from when a thread is free."""


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request."""

    head: Head
    body: bytes


def head_of(scope: Scope) -> Head:
    """Return what the head of a request says."""
    headers = Headers(scope=scope)
    return Head(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"],
        content_type=headers.get("content-type", ""),
        token=cookie_token("; ".join(headers.getlist("cookie"))),
        source=_source(scope),
        page=page_origin(headers, scope["scheme"]),
    )


class BodyReader:
    """Reads the bodies of one listener's requests."""

    def __init__(self, limits: Limits) -> None:
        """To be used in the listener's event loop."""
        self._limits = limits
        self._large: OrderedDict[asyncio.Timeout, None] = OrderedDict()

    async def read(self, receive: Receive, is_known: Callable[[bytes], Awaitable[bool]]) -> bytes:
        """Return the whole body; ``is_known`` is asked, with its beginning, whether a large one's caller is.

        Raises :class:`BadBodyError` and :class:`ClientGoneError`.
        """
        limits = self._limits
        body = _Body(receive)
        try:
            async with asyncio.timeout(limits.body_seconds) as deadline:
                if await body.is_whole_within(limits.small_body):
                    return body.taken(limits.body)
                if await is_known(body.beginning):
                    await body.is_whole_within(limits.body, limits.drained)
                else:
                    await self._read_large(body, deadline)
        except TimeoutError:
            raise BadBodyError(_late(limits, body.size)) from None
        return body.taken(limits.body)

    async def _read_large(self, body: _Body, deadline: asyncio.Timeout) -> None:
        """Read a stranger's; where there are too many, the one that has taken longest is given up."""
        self._large[deadline] = None
        try:
            if len(self._large) > self._limits.large_bodies:
                longest, _none = self._large.popitem(last=False)
                # One that expires just now cannot be given up, and need not be.
                with suppress(RuntimeError):
                    longest.reschedule(asyncio.get_running_loop().time())
            await body.is_whole_within(self._limits.body, 2 * self._limits.body)
        finally:
            self._large.pop(deadline, None)


class _Body:
    """A body on its way in."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._data = bytearray()
        self._more = True
        self.size = 0

    async def is_whole_within(self, most: int, drained: int = 0) -> bool:
        """Read on to the end, keeping ``most`` bytes; return False after as many or, if more, ``drained``."""
        while self._more:
            if self.size > max(most, drained):
                return False
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            chunk = message.get("body", b"")
            self.size += len(chunk)
            self._more = message.get("more_body", False)
            # What exceeds a first bound may be within the next.
            if self.size <= most or not drained:
                self._data += chunk
        return True

    @property
    def beginning(self) -> bytes:
        """What has come in so far."""
        return bytes(self._data)

    def taken(self, most: int) -> bytes:
        """Return the body; raises :class:`BadBodyError` for one larger than ``most``."""
        if self.size > most:
            raise BadBodyError(f"The request's body is larger than {most} bytes.")
        return bytes(self._data)


def _late(limits: Limits, size: int) -> str:
    if size > limits.small_body:
        return (
            f"The request's body did not come within {limits.body_seconds:g} s, or other callers who are not"
            f" known yet sent more than {limits.small_body} bytes each; log in first, or try again."
        )
    return f"The request's body did not come within {limits.body_seconds:g} s."


def _source(scope: Scope) -> Source:
    peer: Peer | None = scope.get(PEER_KEY)
    if peer is not None:
        return Source(f"uid {peer.uid}", peer, secure=False)
    client = scope.get("client")
    return Source(client[0] if client else "", None, secure=scope["scheme"] == "https")
