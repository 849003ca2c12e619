# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ASGI application of one listener: receives a request, has threads answer it, sends the reply.

The event loop only moves bytes; everything else happens in threads.  Callers who are known have other threads
than strangers, whose requests are looked at only as far as finding out who calls needs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import TypeVar

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from papi_backup.api.cookies import GoodCookies
from papi_backup.api.dispatch import Dispatcher, Reply, Target, error_reply
from papi_backup.api.gate import Entry, Gate, PasswordClaim, cookie_token
from papi_backup.api.known_addresses import KnownAddresses
from papi_backup.api.lanes import THREADS, Lane, lane_by_content, lane_of, lane_of_stranger
from papi_backup.api.password_checks import PasswordChecks
from papi_backup.api.request import BadBodyError, BodyReader, ClientGoneError, Head, Limits, Request, head_of
from papi_backup.api.token_sight import TokenSight
from papi_backup.model.errors import (
    InternalError,
    InvalidParameterError,
    PapiError,
    TooManyRequestsError,
)

log = logging.getLogger(__name__)

T = TypeVar("T")
Leaves = Callable[[], Awaitable[None]]
BULKY_WAITING = 16
"""How many bulky requests of strangers wait for their thread; others are told to come again."""

_STOPPED = "The agent stops and could not wait for the end of this call; it may have been carried out."
_STOPPED_BEFORE = "The agent stops and did not wait for the end of this request; nothing was done."
_BULKY = (
    "Too many large requests of callers who are not known yet wait; try again in 1 s, or log in first and"
    " send the session's cookie."
)


class BackupApplication:
    """Serves the endpoint table to the callers of one listener."""

    def __init__(self, dispatcher: Dispatcher, gate: Gate, limits: Limits) -> None:
        self.known_addresses = KnownAddresses()
        self._dispatcher = dispatcher
        self._gate = gate
        self._bodies = BodyReader(limits)
        self._lanes = {lane: anyio.CapacityLimiter(threads) for lane, threads in THREADS.items()}
        self._passwords = PasswordChecks(gate, self._lanes["password"])
        self._cookies = GoodCookies()
        self._tokens = TokenSight(lambda: self._in_thread("glance", gate.token_hashes))
        self._bulky = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        target = self._dispatcher.target(scope["path"])
        last, received = True, False
        try:
            head = head_of(scope)
            body = await self._bodies.read(receive, lambda begun: self._is_known(head, begun))
            received = True
            reply = await self._answer(target, Request(head, body), lambda: _hung_up(receive))
            last = False
        except ClientGoneError:
            return
        except BadBodyError as error:
            reply = error_reply(target, InvalidParameterError(str(error)), 200)
        except PapiError as error:
            # The state cannot be read or written, wherever a thread has met that.
            log.error("a call could not be answered: %s", error.message)
            reply, last = error_reply(target, error, 200), not received
        except asyncio.CancelledError:
            # Only a stopping agent cancels, and this answer is all that is left to do.
            told = InternalError(_STOPPED if received else _STOPPED_BEFORE)
            reply = error_reply(target, told, 200)
        await _send(reply, scope, receive, send, last=last)

    async def _is_known(self, head: Head, begun: bytes) -> bool:
        """Whether the caller is known before the body is whole, and need not be bounded as a stranger is."""
        try:
            if await self._is_trusted(head, begun):
                return True
            return bool(head.token) and await self._in_thread("stranger", self._gate.has_session, head.token)
        except PapiError:
            # It is told once the body is in: a connection that ends before may lose the answer.
            return False

    async def _is_trusted(self, head: Head, body: bytes) -> bool:
        """Whether threads of known callers may find out who calls: a peer, a good cookie, or a token."""
        if self._gate.trusts(head.source) or head.token in self._cookies:
            return True
        if await self._tokens.sees(head.query, body):
            return True
        return self._cookies.was_good(head.token) and await self._is_good_still(head.token)

    async def _is_good_still(self, token: str) -> bool:
        """Whether a cookie that was good a while ago is; strangers' requests are not waited for."""
        if await self._in_thread("glance", self._gate.has_session, token):
            self._cookies.note(token)
            return True
        self._cookies.forget(token)
        return False

    async def _answer(self, target: Target, request: Request, leaves: Leaves) -> Reply:
        try:
            if await self._is_trusted(request.head, request.body):
                return await self._answer_known(target, request, None, leaves)
            met = await self._meet(target, request)
            if isinstance(met, PasswordClaim):
                met = await self._passwords.check(met, leaves)
        except TooManyRequestsError as refusal:
            met = Entry(refusal=refusal)
        if isinstance(met, Reply):
            return met
        if met.identity is None and met.refusal is None:
            self._cookies.note(request.head.token)
        if met.refusal is not None:
            return await self._in_thread("refusal", self._dispatcher.refuse, target, request, met.refusal)
        return await self._answer_known(target, request, met, leaves)

    async def _meet(self, target: Target, request: Request) -> Reply | Entry | PasswordClaim:
        """Find out who calls; raises :class:`TooManyRequestsError` where bulky requests crowd."""
        lane = lane_of_stranger(request)
        if lane != "bulky":
            return await self._in_thread(lane, self._dispatcher.meet, target, request)
        if self._bulky >= BULKY_WAITING:
            raise TooManyRequestsError(_BULKY)
        self._bulky += 1
        try:
            return await self._in_thread(lane, self._dispatcher.meet, target, request)
        finally:
            self._bulky -= 1

    async def _answer_known(
        self, target: Target, request: Request, entry: Entry | None, leaves: Leaves
    ) -> Reply:
        self.known_addresses.note(request.head.source.address)
        # Where only what the call says tells, a thread reads it, as it does whatever clients send.
        named = lane_of(target)
        lane = await self._in_thread("quick", lane_by_content, request) if named is None else named
        while True:
            answered = await self._in_thread(lane, self._dispatcher.answer, target, request, entry)
            if isinstance(answered, Reply):
                self._note_session(answered)
                return answered
            entry = await self._passwords.check(answered, leaves)

    def _note_session(self, reply: Reply) -> None:
        """A session's first call is to find its way as all others do."""
        opened = cookie_token(reply.headers.get("Set-Cookie", ""))
        if opened:
            self._cookies.note(opened)

    async def _in_thread(self, lane: Lane, function: Callable[..., T], *arguments: object) -> T:
        return await anyio.to_thread.run_sync(
            function,
            *arguments,
            # When the agent stops and has waited long enough, it does not wait for a storage as well.
            abandon_on_cancel=True,
            limiter=self._lanes[lane],
        )


async def _hung_up(receive: Receive) -> None:
    """Return when the client of a whole request is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(reply: Reply, scope: Scope, receive: Receive, send: Send, *, last: bool) -> None:
    response = Response(reply.body, reply.status, dict(reply.headers), reply.media_type)
    response.headers["Date"] = formatdate(usegmt=True)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    if last:
        response.headers["Connection"] = "close"
    await response(scope, receive, send)


def create_app(application: BackupApplication) -> Starlette:
    """Return the application: one route, because the endpoint table routes."""
    return Starlette(routes=[Route("/{path:path}", application)])
