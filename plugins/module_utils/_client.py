# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Backup API's session, envelope and dry runs, over any transport.

Private to papi.backup: it may change in any release.
"""

from __future__ import annotations

import json
from http.cookies import SimpleCookie
from urllib.parse import urlencode

from ansible.module_utils.common.text.converters import to_bytes, to_text

from ansible_collections.papi.backup.plugins.module_utils._errors import (
    AUTHENTICATION_ERROR,
    SESSION_ERRORS,
    AgentError,
    ConnectionFailure,
    UnexpectedAnswer,
)

MASK = "********"
SECRET_FIELDS = frozenset(("aws_secret_key", "encryption_key"))


class Change:
    """What the agent says a call would change; secrets are masked and flagged same or different."""

    def __init__(self, changed, before, after):
        self.changed = changed
        self.before = before or {}
        self.after = after or {}

    @property
    def predicted(self):
        """What the result of the real call would be: ``after`` without the flags, which are for diffs."""
        return masked(self.after, keep_flags=False)


class Client:
    """Calls to one agent.

    In check mode it refuses to send a change, whatever the module above it does.
    """

    def __init__(self, transport, credentials, check_mode):
        self._transport = transport
        self._credentials = credentials
        self._check_mode = check_mode
        self._cookies = {}

    def query(self, path, **params):
        """Call a method that changes nothing and return its data, secrets masked."""
        given = {name: value for name, value in params.items() if value is not None}
        target = "/papi/backup/" + path + ("?" + urlencode(given, errors="surrogateescape") if given else "")
        return masked(self._call("GET", target)["data"])

    def plan(self, path, params):
        """Ask the agent what a changing call would do (``dry_run=1``) and return its data, secrets masked."""
        return masked(self._call("POST", "/papi/backup/" + path, dict(params, dry_run=1))["data"])

    def plan_change(self, path, params):
        """Like plan(), for the methods that answer with ``changed``, ``before`` and ``after``."""
        data = self.plan(path, params)
        if not isinstance(data, dict) or "changed" not in data:
            raise UnexpectedAnswer(
                "{0} does not know dry runs: it is older than this collection, or no papi.backup agent.".format(
                    self._transport.place
                )
            )
        return Change(bool(data["changed"]), data.get("before"), data.get("after"))

    def change(self, path, params):
        """Call a changing method for real and return its whole envelope.

        With a ``request_id`` a lost answer is asked for once more: the agent does such a call only once.
        """
        if self._check_mode:
            raise AssertionError("a change was about to be made in check mode: {0}".format(path))
        try:
            return self._call("POST", "/papi/backup/" + path, params)
        except ConnectionFailure:
            if "request_id" not in params:
                raise
            return self._call("POST", "/papi/backup/" + path, params)

    def _call(self, method, target, params=None):
        """Log in where credentials are given, call, and log in once more when the session has ended."""
        if not self._credentials:
            return self._call_without_login(method, target, params)
        fresh = not self._cookies
        if fresh:
            self._login()
        try:
            return self._exchange(method, target, params)
        except AgentError as error:
            if fresh or error.code not in SESSION_ERRORS:
                raise
        self._login()
        return self._exchange(method, target, params)

    def _call_without_login(self, method, target, params):
        try:
            return self._exchange(method, target, params)
        except AgentError as error:
            if error.code != AUTHENTICATION_ERROR:
                raise
            raise AgentError(error.code, "{0}. {1}".format(error.message.rstrip("."), self._transport.login_advice))

    def _login(self):
        self._cookies = {}
        self._exchange("POST", "/papi/login", self._credentials)

    def _exchange(self, method, target, params):
        headers = {"Accept": "application/json"}
        if self._cookies:
            headers["Cookie"] = "; ".join("{0}={1}".format(*cookie) for cookie in sorted(self._cookies.items()))
        body = None
        if params is not None:
            headers["Content-Type"] = "application/json"
            body = to_bytes(json.dumps(params))
        reply = self._transport.send(method, target, headers, body)
        for line in reply.cookies:
            self._cookies.update((name, morsel.value) for name, morsel in SimpleCookie(line).items())
        return self._unwrap(reply)

    def _unwrap(self, reply):
        try:
            envelope = json.loads(to_text(reply.body))
            if envelope["success"] == 1:
                return dict(envelope, data=envelope.get("data"))
            code, message = int(envelope["error_code"]), to_text(envelope["error"])
        except (ValueError, KeyError, TypeError):
            raise UnexpectedAnswer(
                "{0} answered with HTTP {1} and no answer of the Backup API. "
                "Is that address the agent's, and does its log say more?".format(self._transport.place, reply.status)
            )
        raise AgentError(code, message)


def credentials_from(params):
    """Return what ``/papi/login`` gets, or nothing where the unix socket's peer says who calls."""
    if params["agent_token"]:
        return {"api_key": params["agent_username"], "api_token": params["agent_token"]}
    if params["agent_username"]:
        return {"username": params["agent_username"], "password": params["agent_password"] or ""}
    return {}


def masked(data, keep_flags=True):
    """Return ``data`` with every secret masked.

    What the agent has masked and flagged as same or different stays, unless the flags are not wanted.
    """
    if isinstance(data, dict):
        return {
            key: _mask(value, keep_flags) if key in SECRET_FIELDS else masked(value, keep_flags)
            for key, value in data.items()
        }
    if isinstance(data, list):
        return [masked(value, keep_flags) for value in data]
    return data


def _mask(value, keep_flags):
    if not value or (keep_flags and value in (MASK + " (same)", MASK + " (different)")):
        return value
    return MASK
