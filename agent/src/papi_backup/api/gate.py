# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds out who makes a call: credentials in the call, a session's cookie, or the unix socket's peer."""

from __future__ import annotations

from dataclasses import dataclass

from papi_backup.api.kinds import SecretText, Text
from papi_backup.api.parameters import Parameter, read_arguments
from papi_backup.api.peers import Peer, TrustedPeers
from papi_backup.api.raw_parameters import RawParameters
from papi_backup.model.account import Identity
from papi_backup.services.access import AccessService, Session

COOKIE = "PHPSESSID"
_NAME = Text(maximum=256, undecodable=True)
_PASSWORD = SecretText(maximum=1024, may_be_blank=True, undecodable=True)

CREDENTIALS = (
    Parameter("username", _NAME, meaning="Name of the account."),
    Parameter("password", _PASSWORD, meaning="Password of the account."),
    Parameter("api_key", _NAME, meaning="Name of an API token, or of an account."),
    Parameter("key", _NAME, meaning="The same as `api_key`."),
    Parameter("api_token", _PASSWORD, meaning="Value of the API token, or password of the account."),
)
"""Every method takes them: an account and its password, or an API token's name and value."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a request comes from.  ``address`` is what failures are counted by; ``secure``: over TLS."""

    address: str
    peer: Peer | None
    secure: bool


@dataclass(frozen=True, slots=True)
class Admission:
    """Who makes a call (None: nobody knows), with which session.

    ``session`` is one that this very call opened with its credentials; its cookie goes out with the answer.
    ``refusal`` tells a peer of the unix socket why being that peer is not enough.
    """

    identity: Identity | None
    token: str = ""
    session: Session | None = None
    refusal: str = ""


class Gate:
    """Decides who a caller is; what they may do is the endpoint table's."""

    def __init__(self, access: AccessService, trusted: TrustedPeers) -> None:
        self._access = access
        self._trusted = trusted

    def admit(self, raw: RawParameters, token: str, source: Source) -> Admission:
        """Return who calls.  Credentials in the call decide alone, then the cookie, then the peer.

        Wrong credentials raise :class:`AuthenticationError` or :class:`TooManyRequestsError`.
        """
        identity = self._identify(raw, source.address)
        if identity is not None:
            return Admission(identity, token, self._access.open_session(identity))
        known = self._access.identity_of(token) if token else None
        if known is not None:
            return Admission(known, token)
        if source.peer is not None and source.peer in self._trusted:
            return Admission(Identity(f"uid {source.peer.uid}", "administrator"), token)
        refusal = self._trusted.refusal(source.peer) if source.peer is not None else ""
        return Admission(None, token, refusal=refusal)

    def _identify(self, raw: RawParameters, address: str) -> Identity | None:
        """Return who the credentials in the call are; None where it has none."""
        arguments = read_arguments(CREDENTIALS, raw)
        for name, secret, verify in (
            ("username", "password", self._access.verify),
            ("api_key", "api_token", self._access.verify_key),
            ("key", "api_token", self._access.verify_key),
        ):
            given_name, given_secret = arguments.optional_text(name), arguments.optional_secret(secret)
            if given_name is not None and given_secret is not None:
                return verify(given_name, given_secret, address)
        return None


def cookie_token(header: str) -> str:
    """Return the session's token from a ``Cookie`` header, "" where there is none."""
    for part in header.split(";"):
        name, separator, value = part.strip().partition("=")
        if separator and name == COOKIE:
            return value.strip('"')
    return ""


def session_cookie(token: str, *, secure: bool) -> str:
    """Return the ``Set-Cookie`` header of a session; the empty token ends it at the client."""
    # A cookie marked Secure would not come back over the unix socket and plain loopback.
    end = "" if token else "; Max-Age=0"
    return f"{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict{end}{'; Secure' if secure else ''}"
