# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real HTTP server on a unix socket (or loopback port) with canned answers, which remembers every call."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qsl, urlsplit

from ansible.module_utils import basic

try:
    from ansible.module_utils.testing import patch_module_args
except ImportError:  # ansible-core 2.18

    @contextlib.contextmanager
    def patch_module_args(args):
        """Give a module its arguments as older ansible-core takes them."""
        before, basic._ANSIBLE_ARGS = basic._ANSIBLE_ARGS, json.dumps({"ANSIBLE_MODULE_ARGS": args}).encode()
        try:
            yield
        finally:
            basic._ANSIBLE_ARGS = before


PREFIX = "/papi/backup/"
MASK = "********"


def success(data, **beside):
    """Return the envelope of a success."""
    return dict({"success": 1, "data": data}, **beside)


def refusal(code, message):
    """Return the envelope of a failure."""
    return {"success": 0, "error_code": code, "error": message}


class Call:
    """One call the agent got."""

    def __init__(self, method, path, params, cookie):
        self.method = method
        self.path = path
        self.params = {name: value for name, value in params.items() if name != "dry_run"}
        self.dry_run = bool(params.get("dry_run"))
        self.cookie = cookie

    def __repr__(self):
        return "{0} {1} {2}{3}".format(self.method, self.path, self.params, " (dry run)" if self.dry_run else "")


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self._answer()

    def do_POST(self):
        self._answer()

    def _answer(self):
        url = urlsplit(self.path)
        params = dict(parse_qsl(url.query))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if body:
            params.update(json.loads(body.decode("utf-8")))
        path = url.path[len(PREFIX):] if url.path.startswith(PREFIX) else url.path
        self.server.fake.handle(self, Call(self.command, path, params, self.headers.get("Cookie", "")))

    def log_message(self, *args):
        """Say nothing."""


class _UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class _LoopbackServer(socketserver.ThreadingMixIn, HTTPServer):
    daemon_threads = True


class FakeAgent:
    """Answers by path; a list of answers is used up one by one, and the last one stays."""

    def __init__(self, socket_path):
        self.socket_path = socket_path
        self.url = ""
        self.calls = []
        self._answers = {}
        self._servers = [_UnixServer(socket_path, _Handler), _LoopbackServer(("127.0.0.1", 0), _Handler)]
        self.answer("job/list", [])
        self.answer("storage/list", [])
        self.answer("ssh-id/list", [])
        self.answer("backup-config/list", [])

    def __enter__(self):
        for server in self._servers:
            server.fake = self
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.url = "http://127.0.0.1:{0}".format(self._servers[1].server_address[1])
        return self

    def __exit__(self, *unused):
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def answer(self, path, *data, **beside):
        """Answer calls of ``path`` with success and this data, one after the other."""
        self._answers[path, False] = [success(one, **beside) for one in data]

    def refuse(self, path, code, message, dry_run=False):
        """Refuse calls of ``path``."""
        self._answers[path, dry_run] = [refusal(code, message)]

    def reply(self, path, *envelopes, **options):
        """Answer calls of ``path`` with these envelopes; bytes go out as they are, None drops the connection."""
        self._answers[path, options.get("dry_run", False)] = list(envelopes)

    def plan(self, path, changed, before, after):
        """Answer dry runs of ``path``, and let real calls of it succeed."""
        self._answers[path, True] = [success({"changed": changed, "before": before, "after": after})]
        self._answers.setdefault((path, False), [success("success")])

    def handle(self, request, call):
        """Answer one call."""
        self.calls.append(call)
        envelopes = self._answers.get((call.path, call.dry_run))
        if envelopes is None:
            envelope = refusal(3007, "the fake agent was not told about {0!r}".format(call))
        else:
            envelope = envelopes.pop(0) if len(envelopes) > 1 else envelopes[0]
        if envelope is None:
            request.close_connection = True
            request.connection.close()
            return
        status, cookie = 200, None
        if isinstance(envelope, dict):
            envelope = copy.deepcopy(envelope)
            status, cookie = envelope.pop("status", 200), envelope.pop("cookie", None)
            envelope = json.dumps(envelope).encode()
        request.send_response(status)
        if cookie:
            request.send_header("Set-Cookie", "PHPSESSID={0}; HttpOnly; SameSite=Lax; Path=/".format(cookie))
        request.send_header("Content-Length", str(len(envelope)))
        request.end_headers()
        request.wfile.write(envelope)

    def changes(self):
        """Return what would really have been changed: (path, parameters) of each such call."""
        return [(call.path, call.params) for call in self.calls if call.method == "POST" and not call.dry_run]

    def dry_runs(self):
        """Return (path, parameters) of each dry run."""
        return [(call.path, call.params) for call in self.calls if call.dry_run]


def run(module, agent, check_mode=False, **options):
    """Run a module through its main() as Ansible does, and return what it prints, parsed."""
    arguments = dict({"agent_socket": agent.socket_path}, **options)
    arguments.update(_ansible_check_mode=check_mode, _ansible_diff=True)
    printed = io.StringIO()
    with patch_module_args(arguments), contextlib.redirect_stdout(printed):
        try:
            module.main()
        except SystemExit:
            pass
    return json.loads(printed.getvalue())
