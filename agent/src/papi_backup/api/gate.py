# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds out who makes a call: credentials in the call, a session's cookie, or the unix socket's peer."""

from __future__ import annotations

from dataclasses import dataclass

from papi_backup.api.kinds import SecretText, Text
from papi_backup.api.origins import AllowedOrigins, PageOrigin
from papi_backup.api.parameters import Parameter, read_arguments
from papi_backup.api.peers import Peer, TrustedPeers
from papi_backup.api.raw_parameters import RawParameters
from papi_backup.model.account import Identity
from papi_backup.model.errors import (
    AuthenticationError,
    PapiError,
    PermissionDeniedError,
    TooManyRequestsError,
)
from papi_backup.model.secret import Secret
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

_PAIRS = (("username", "password", False), ("api_key", "api_token", True), ("key", "api_token", True))
"""A name, what goes with it, and whether that may be an API token; the first pair that is whole counts."""

CREDENTIAL_NAMES = frozenset(parameter.name for parameter in CREDENTIALS)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a request comes from.  ``address`` is what failures are counted by; ``secure``: over TLS."""

    address: str
    peer: Peer | None
    secure: bool


@dataclass(frozen=True, slots=True)
class PasswordClaim:
    """A name and a password in a call.  Whether they are right costs a good part of a second to find out.

    ``known_address``: somebody has logged in from where the call comes from.
    """

    name: str
    password: Secret
    address: str
    known_address: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """What a call's own credentials have come to: an identity, a refusal, or nothing where it has none."""

    identity: Identity | None = None
    refusal: PapiError | None = None


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

    def __init__(self, access: AccessService, trusted: TrustedPeers, origins: AllowedOrigins) -> None:
        self._access = access
        self._trusted = trusted
        self._origins = origins

    def trusts(self, source: Source) -> bool:
        """Whether a call comes from a peer who needs no credentials.  Never blocks."""
        return source.peer is not None and source.peer in self._trusted

    def has_session(self, token: str) -> bool:
        """Whether a cookie is that of a session."""
        return bool(token) and self._access.identity_of(token) is not None

    def token_hashes(self) -> frozenset[bytes]:
        """Return the hashes of the values of all API tokens."""
        return self._access.token_hashes()

    def enter(self, raw: RawParameters, source: Source) -> Entry | PasswordClaim:
        """Return whose token the call carries, or the password that it carries instead.

        Malformed credentials raise :class:`InvalidParameterError`.
        """
        arguments = read_arguments(CREDENTIALS, raw)
        for name_field, secret_field, takes_tokens in _PAIRS:
            name, secret = arguments.optional_text(name_field), arguments.optional_secret(secret_field)
            if name is None or secret is None:
                continue
            identity = self._access.recognise(name, secret) if takes_tokens else None
            if identity is not None:
                return Entry(identity)
            return PasswordClaim(name, secret, source.address, self._access.knows_address(source.address))
        return Entry()

    def verify(self, claim: PasswordClaim) -> Entry:
        """Check a password; takes a good part of a second of a core, and 16 MiB."""
        try:
            return Entry(self._access.verify(claim.name, claim.password, claim.address))
        except (AuthenticationError, TooManyRequestsError) as refusal:
            return Entry(refusal=refusal)

    def refuse_early(self, claim: PasswordClaim) -> None:
        """Raise :class:`TooManyRequestsError` for what :meth:`verify` would refuse unseen.  Never blocks."""
        if not claim.known_address:
            self._access.refuse_early(claim.name, claim.address)

    def is_guessed_at(self, name: str, address: str) -> bool:
        """Whether somebody guesses at ``name``, wherever from.  Never blocks."""
        del address
        return self._access.is_guessed_at(name)

    def has_failed_often(self, name: str, address: str) -> bool:
        """Whether attempts from ``address`` have failed often.  Never blocks."""
        return self._access.has_failed_often(name, address)

    def admit(self, entry: Entry, token: str, source: Source, page: PageOrigin) -> Admission:
        """Return who calls.  Credentials in the call decide alone, then the cookie, then the peer.

        Raises what refuses the credentials, and :class:`PermissionDeniedError` where only a cookie tells who
        calls and a page of somebody else sent it.
        """
        if entry.refusal is not None:
            raise entry.refusal
        if entry.identity is not None:
            return Admission(entry.identity, token, self._access.open_session(entry.identity))
        known = self._access.identity_of(token) if token else None
        if known is not None:
            if not self.trusts(source):
                self._refuse_foreign(page)
            return Admission(known, token)
        if source.peer is not None and self.trusts(source):
            return Admission(Identity(f"uid {source.peer.uid}", "administrator"), token)
        refusal = self._trusted.refusal(source.peer) if source.peer is not None else ""
        return Admission(None, token, refusal=refusal)

    def _refuse_foreign(self, page: PageOrigin) -> None:
        reason = self._origins.refusal(page)
        if reason:
            raise PermissionDeniedError(
                f"Permission denied: {reason}, and only a cookie says who calls. Send credentials or a token;"
                " or, if this page is yours, name its origin in allowed_origins of [api] in agent.toml."
            )


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
