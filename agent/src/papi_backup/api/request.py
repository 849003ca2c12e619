# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Receives one request within bounds of size and time."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.types import Receive, Scope

from papi_backup.api.gate import Source, cookie_token
from papi_backup.api.peers import Peer

PEER_KEY = "papi.peer"
"""Where the scope of a request carries the :class:`Peer` of its connection."""


@dataclass(frozen=True, slots=True)
class Limits:
    """``body`` and ``drained`` in bytes: what is taken, and what is thrown away so that the answer arrives.

    ``head_seconds`` and ``body_seconds`` bound how long a request may take to come in; a client that takes
    nothing of its answer for ``send_seconds`` is hung up on.  ``handshake_seconds`` bound TLS's.  A listener
    has at most ``connections`` open, those that have not come through the handshake included.
    """

    body: int = 1 << 20
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
class Request:
    """A whole request."""

    method: str
    path: str
    query: bytes
    content_type: str
    body: bytes
    token: str
    source: Source
    arrived: float = field(default_factory=time.monotonic)
    """By :func:`time.monotonic`: promised times count from here, not from when a thread is free."""


async def receive_request(scope: Scope, receive: Receive, limits: Limits) -> Request:
    """Read the body; raises :class:`BadBodyError` and :class:`ClientGoneError`."""
    headers = Headers(scope=scope)
    try:
        async with asyncio.timeout(limits.body_seconds):
            body = await _receive_body(receive, limits)
    except TimeoutError:
        raise BadBodyError(f"The request's body did not come within {limits.body_seconds:g} s.") from None
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"],
        content_type=headers.get("content-type", ""),
        body=body,
        token=cookie_token("; ".join(headers.getlist("cookie"))),
        source=_source(scope),
    )


async def _receive_body(receive: Receive, limits: Limits) -> bytes:
    body = bytearray()
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= limits.body:
            body += chunk
        elif size > limits.drained:
            break
        more = message.get("more_body", False)
    if size > limits.body:
        raise BadBodyError(f"The request's body is larger than {limits.body} bytes.")
    return bytes(body)


def _source(scope: Scope) -> Source:
    peer: Peer | None = scope.get(PEER_KEY)
    if peer is not None:
        return Source(f"uid {peer.uid}", peer, secure=False)
    client = scope.get("client")
    return Source(client[0] if client else "", None, secure=scope["scheme"] == "https")
