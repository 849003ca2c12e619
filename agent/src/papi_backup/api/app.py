# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ASGI application: receives a request, has a thread answer it, sends the reply."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from email.utils import formatdate

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from papi_backup.api.dispatch import Dispatcher, Reply, Target, error_reply
from papi_backup.api.lanes import Lane, lane_by_content, lane_of
from papi_backup.api.request import BadBodyError, ClientGoneError, Limits, Request, receive_request
from papi_backup.model.errors import InternalError, InvalidParameterError

THREADS: Mapping[Lane, int] = {"quick": 16, "test": 32, "list": 16}
"""Calls that wait for storages have threads of their own, so that they do not keep others waiting.

They are many, because one that waits for its turn at a hung storage holds a thread as well.
"""

_STOPPED = "The agent stops and could not wait for the end of this call; it may have been carried out."
_STOPPED_BEFORE = "The agent stops and did not wait for the end of this request; nothing was done."


class BackupApplication:
    """Serves the endpoint table.  The event loop only moves bytes; everything else happens in threads."""

    def __init__(self, dispatcher: Dispatcher, limits: Limits) -> None:
        self._dispatcher = dispatcher
        self._limits = limits
        self._lanes = {lane: anyio.CapacityLimiter(threads) for lane, threads in THREADS.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        target = self._dispatcher.target(scope["path"])
        last, received = True, False
        try:
            request = await receive_request(scope, receive, self._limits)
            received = True
            reply = await self._answer(target, request)
            last = False
        except ClientGoneError:
            return
        except BadBodyError as error:
            reply = error_reply(target, InvalidParameterError(str(error)), 200)
        except asyncio.CancelledError:
            # Only a stopping agent cancels, and this answer is all that is left to do.
            told = InternalError(_STOPPED if received else _STOPPED_BEFORE)
            reply = error_reply(target, told, 200)
        await _send(reply, scope, receive, send, last=last)

    async def _answer(self, target: Target, request: Request) -> Reply:
        # Where only what the call says tells, a thread reads it, as it does whatever clients send.
        named = lane_of(target)
        lane = await self._lane_of(request) if named is None else named
        return await anyio.to_thread.run_sync(
            self._dispatcher.answer,
            target,
            request,
            # When the agent stops and has waited long enough, it does not wait for a storage as well.
            abandon_on_cancel=True,
            limiter=self._lanes[lane],
        )

    async def _lane_of(self, request: Request) -> Lane:
        return await anyio.to_thread.run_sync(
            lane_by_content, request, abandon_on_cancel=True, limiter=self._lanes["quick"]
        )


async def _send(reply: Reply, scope: Scope, receive: Receive, send: Send, *, last: bool) -> None:
    response = Response(reply.body, reply.status, dict(reply.headers), reply.media_type)
    response.headers["Date"] = formatdate(usegmt=True)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    if last:
        response.headers["Connection"] = "close"
    await response(scope, receive, send)


def create_app(dispatcher: Dispatcher, limits: Limits) -> Starlette:
    """Return the application: one route, because the endpoint table routes."""
    return Starlette(routes=[Route("/{path:path}", BackupApplication(dispatcher, limits))])
