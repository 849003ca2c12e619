# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes to the agent and back: HTTP over its unix socket, or over a URL.

A transport has ``place`` (how to name it to the user), ``login_advice`` (when nobody has logged in) and
``send(method, target, headers, body)``.
Private to papi.backup: it may change in any release.
"""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
from urllib.error import HTTPError, URLError

from ansible.module_utils.urls import open_url

from ansible_collections.papi.backup.plugins.module_utils._errors import ConnectionFailure, UsageError

_ADVICE_START = "Is the agent running? Start it with 'systemctl start papi-backup-agent'"


class Reply:
    """An HTTP answer: status, body as bytes, and the ``Set-Cookie`` headers."""

    def __init__(self, status, body, cookies):
        self.status = status
        self.body = body
        self.cookies = tuple(cookies or ())


class _UnixConnection(http.client.HTTPConnection):
    """http.client over AF_UNIX; one connection a request, so that a restarted agent is never a stale connection."""

    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class UnixSocketTransport:
    """The agent on this host; its socket knows the caller by the peer's user."""

    login_advice = "Use 'become: true', or give agent_username and agent_password."

    def __init__(self, path, timeout):
        self.place = "the agent's socket {0}".format(path)
        self._path = path
        self._timeout = timeout

    def send(self, method, target, headers, body):
        """Send one request; raise ConnectionFailure when no answer comes."""
        connection = _UnixConnection(self._path, self._timeout)
        try:
            connection.request(method, target, body=body, headers=headers)
            answer = connection.getresponse()
            return Reply(answer.status, answer.read(), answer.headers.get_all("Set-Cookie"))
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionFailure(self._explain(error))
        finally:
            connection.close()

    def _explain(self, error):
        if isinstance(error, FileNotFoundError):
            return "{0} does not exist. {1}, or set agent_socket to the socket that its agent.toml names.".format(
                self.place, _ADVICE_START
            )
        if isinstance(error, ConnectionRefusedError):
            return "nobody listens on {0}. {1} and see 'journalctl -u papi-backup-agent'.".format(
                self.place, _ADVICE_START
            )
        if isinstance(error, PermissionError):
            return (
                "this user is not permitted to use {0}. Use 'become: true', or a user whom the agent admits.".format(
                    self.place
                )
            )
        if isinstance(error, socket.timeout):
            return "{0} did not answer within {1} s. Is the agent stuck? A larger agent_timeout waits longer.".format(
                self.place, self._timeout
            )
        return "the connection to {0} failed: {1}. See 'journalctl -u papi-backup-agent'.".format(
            self.place, _words(error)
        )


class UrlTransport:
    """An agent that listens on TCP; https, or plain http on loopback."""

    login_advice = "Give agent_username and agent_password."

    def __init__(self, url, timeout, validate_certs=True, ca_path=None):
        self.place = "the agent at {0}".format(url)
        self._url = url.rstrip("/")
        self._timeout = timeout
        self._validate_certs = validate_certs
        self._ca_path = ca_path

    def send(self, method, target, headers, body):
        """Send one request; raise ConnectionFailure when no answer comes.  Redirects are not followed."""
        try:
            answer = open_url(
                self._url + target,
                data=body,
                headers=headers,
                method=method,
                timeout=self._timeout,
                validate_certs=self._validate_certs,
                ca_path=self._ca_path,
                follow_redirects="none",
                http_agent="papi.backup",
            )
            return Reply(answer.status, answer.read(), answer.headers.get_all("Set-Cookie"))
        except HTTPError as error:
            return Reply(error.code, error.read(), error.headers.get_all("Set-Cookie"))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ConnectionFailure(self._explain(error))

    def _explain(self, error):
        reason = error.reason if isinstance(error, URLError) else error
        if isinstance(reason, ssl.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(reason):
            return "the certificate of {0} was not accepted: {1}. Name its authority with ca_path.".format(
                self.place, _words(reason)
            )
        if isinstance(reason, ssl.SSLError):
            return "no TLS connection to {0}: {1}. Does agent_url start with the scheme the agent listens on?".format(
                self.place, _words(reason)
            )
        if isinstance(reason, socket.gaierror):
            return "the host name of {0} does not resolve: {1}. Correct agent_url.".format(self.place, _words(reason))
        if isinstance(reason, ConnectionRefusedError):
            return "nobody listens at {0}. {1}, and let 'listen' in agent.toml name that address.".format(
                self.place, _ADVICE_START
            )
        if isinstance(reason, socket.timeout) or getattr(reason, "errno", None) == errno.ETIMEDOUT:
            return "{0} did not answer within {1} s. Does a firewall stand between, or is the agent stuck?".format(
                self.place, self._timeout
            )
        return "the connection to {0} failed: {1}. Is agent_url right, and does the agent listen there?".format(
            self.place, _words(reason)
        )


def transport_from(params):
    """Return the transport that the shared connection options ask for; a URL wins over the socket."""
    if not params["agent_url"]:
        return UnixSocketTransport(params["agent_socket"], params["agent_timeout"])
    if not params["agent_url"].startswith(("http://", "https://")):
        raise UsageError("agent_url must start with https:// or http://, not '{0}'.".format(params["agent_url"]))
    return UrlTransport(params["agent_url"], params["agent_timeout"], params["validate_certs"], params["ca_path"])


def _words(error):
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
