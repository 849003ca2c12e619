# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a whole request to a whole reply: who calls, may they, with which arguments, what comes out."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from papi_backup.api.call import AgentInfo, Call
from papi_backup.api.endpoint import Endpoint
from papi_backup.api.envelope import DEFAULT_FORMAT, FORMATS, encode, failure, success
from papi_backup.api.gate import (
    CREDENTIAL_NAMES,
    Admission,
    Entry,
    Gate,
    PasswordClaim,
    session_cookie,
)
from papi_backup.api.job_listing import JobListing
from papi_backup.api.parameters import read_arguments
from papi_backup.api.raw_parameters import RawParameters, raw_parameters
from papi_backup.api.request import Head, Request
from papi_backup.model.account import Identity
from papi_backup.model.errors import (
    AuthenticationError,
    InternalError,
    InvalidParameterError,
    NoSuchEntityError,
    PapiError,
    PermissionDeniedError,
)
from papi_backup.services.container import Services

log = logging.getLogger(__name__)
_NOBODY = Identity("", "viewer")


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer."""

    status: int
    media_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names: an endpoint of the table (None: nothing) and the format of the answer."""

    endpoint: Endpoint | None
    answer_format: str


class Dispatcher:
    """Answers requests.  Its methods block and may be called from many threads at once."""

    def __init__(
        self, endpoints: Mapping[str, Endpoint], services: Services, gate: Gate, agent: AgentInfo
    ) -> None:
        self._endpoints = endpoints
        self._services = services
        self._gate = gate
        self._agent = agent
        self._listing = JobListing()

    def target(self, path: str) -> Target:
        """Look a path up; an unknown extension names nothing and is answered in the default format."""
        endpoint = self._endpoints.get(path)
        if endpoint is not None:
            return Target(endpoint, DEFAULT_FORMAT)
        for extension in FORMATS:
            if path.endswith(f".{extension}"):
                endpoint = self._endpoints.get(path.removesuffix(f".{extension}"))
                return Target(None if endpoint and endpoint.bare else endpoint, extension)
        return Target(None, DEFAULT_FORMAT)

    def meet(self, target: Target, request: Request) -> Reply | Entry | PasswordClaim:
        """Look at a request of a stranger as far as finding out who calls needs.

        Returns who the caller is, or the password that has to be checked first, or else the reply.
        """
        return self._answer(target, request, None, is_stranger=True)

    def answer(self, target: Target, request: Request, entry: Entry | None = None) -> Reply | PasswordClaim:
        """Answer a request of a caller who is known: by the cookie, as a peer, or by ``entry``.

        Returns the password that has to be checked first where ``entry`` is not given and there is one.
        """
        found = self._answer(target, request, entry, is_stranger=False)
        if isinstance(found, Entry):
            raise TypeError("only strangers are asked who they are")
        return found

    def refuse(self, target: Target, request: Request, refusal: PapiError) -> Reply:
        """Answer a request whose credentials are refused."""
        reply = self._answer(target, request, Entry(refusal=refusal), is_stranger=True)
        if not isinstance(reply, Reply):
            raise TypeError("a refusal is the answer")
        return reply

    def _answer(
        self, target: Target, request: Request, entry: Entry | None, *, is_stranger: bool
    ) -> Reply | Entry | PasswordClaim:
        """Answer a request.  Errors of the API go out with HTTP 200."""
        endpoint = target.endpoint
        if endpoint is None:
            unknown = NoSuchEntityError("There is no such method, or not in that format.")
            return error_reply(target, unknown, 404)
        method = "GET" if request.head.method == "HEAD" else request.head.method
        if method not in endpoint.http_methods:
            allowed = ", ".join(endpoint.http_methods)
            refused = InvalidParameterError(f"The method {endpoint.name} takes {allowed} only.")
            return error_reply(target, refused, 405, {"Allow": allowed})
        course = _Course(endpoint, request.head.source.address)
        try:
            if entry is not None and entry.refusal is not None:
                # Nothing of the request matters any more, and to look at it may take long.
                raise entry.refusal
            wanted = CREDENTIAL_NAMES if is_stranger else None
            raw = raw_parameters(request.head.query, request.head.content_type, request.body, wanted)
            if entry is None:
                found = self._gate.enter(raw, request.head.source)
                if isinstance(found, PasswordClaim) or (is_stranger and self._is_somebody(found, request)):
                    return found
                entry = found
            reply = _reply(target, 200, self._handle(target, request, entry, raw, course), course.headers)
            course.outcome = "success"
        except PapiError as error:
            course.outcome = f"{error.code} {error.name}"
            reply = error_reply(target, error, 200, course.headers)
        except Exception:  # the outermost edge of a request: logged, and told as a crash
            log.exception("the method %s failed", endpoint.name)
            reply = error_reply(target, InternalError("The agent failed; its log says more."), 500)
        course.log()
        return reply

    def _is_somebody(self, entry: Entry, request: Request) -> bool:
        return entry.identity is not None or self._gate.has_session(request.head.token)

    def _handle(
        self, target: Target, request: Request, entry: Entry, raw: RawParameters, course: _Course
    ) -> bytes:
        """Return the body of what the method answers."""
        head, endpoint = request.head, course.endpoint
        admission = self._gate.admit(entry, head.token, head.source, head.page)
        if admission.session is not None:
            course.set_cookie(admission.session.token, head)
        identity = _admitted(endpoint, admission)
        course.who = identity.name
        call = Call(
            services=self._services,
            agent=self._agent,
            admission=admission,
            identity=identity,
            arguments=read_arguments(endpoint.parameters, raw),
            listing=self._listing,
            arrived=head.arrived,
        )
        answer = endpoint.handler(call)
        if answer.ends_session:
            course.set_cookie("", head)
        return answer.document or encode(success(answer.data, answer.beside), target.answer_format)


@dataclass(slots=True)
class _Course:
    """What becomes known of a call while it is answered."""

    endpoint: Endpoint
    address: str
    who: str = ""
    outcome: str = "crash"
    headers: dict[str, str] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def set_cookie(self, token: str, head: Head) -> None:
        self.headers["Set-Cookie"] = session_cookie(token, secure=head.source.secure)

    def log(self) -> None:
        """Changes and attempts at them are worth a line; who reads what is not.  Never parameters."""
        level = logging.INFO if self.endpoint.access == "administrator" else logging.DEBUG
        seconds = time.monotonic() - self.started
        log.log(
            level,
            "%s by %r from %s: %s (%.3f s)",
            self.endpoint.name,
            self.who,
            self.address,
            self.outcome,
            seconds,
        )


def error_reply(
    target: Target, error: PapiError, status: int, headers: Mapping[str, str] | None = None
) -> Reply:
    """Return the reply that tells ``error``."""
    return _reply(target, status, encode(failure(error), target.answer_format), headers or {})


def _reply(target: Target, status: int, body: bytes, headers: Mapping[str, str]) -> Reply:
    return Reply(status, FORMATS[target.answer_format], body, headers)


def _admitted(endpoint: Endpoint, admission: Admission) -> Identity:
    """Return the caller; raises what keeps them out, before anything has happened."""
    if endpoint.access == "open":
        return admission.identity or _NOBODY
    if admission.identity is None:
        reason = f": {admission.refusal}" if admission.refusal else ""
        raise AuthenticationError(f"Authentication Error{reason}")
    if endpoint.access == "administrator" and not admission.identity.is_administrator:
        raise PermissionDeniedError(
            f"Permission denied: {admission.identity.name!r} is a viewer, and {endpoint.name} is for"
            " administrators."
        )
    return admission.identity
