# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What papi_backup.fact asks the agent's environment for: one line of JSON, of the shape that it knows.

``version``, ``running`` (whether the agent answers), ``last_success`` by backup, ``state_lost`` (whether the
agent began anew beside a key that was there), ``error`` (empty for none).
"""

from __future__ import annotations

import http.client
import json
import socket
from importlib.metadata import version
from typing import Any

SOCKET = "/run/papi-backup/agent.sock"
SECONDS = 4
"""For each answer of the socket; less than papi_backup.fact waits in all."""


class Connection(http.client.HTTPConnection):
    """HTTP over the agent's unix socket."""

    def connect(self) -> None:
        """Connect to the agent."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(SECONDS)
        self.sock.connect(SOCKET)


def asked(what: str) -> Any:
    """Return an answer of the agent; raises OSError, HTTPException, ValueError, KeyError or TypeError."""
    connection = Connection("localhost")
    try:
        connection.request("GET", f"/papi/backup/{what}.json")
        return json.loads(connection.getresponse().read())["data"]
    finally:
        connection.close()


def state_is_lost() -> bool:
    """Return whether the agent found its key and no state; an agent that does not answer tells nothing."""
    try:
        return bool(asked("version")["state_lost"])
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return False


def facts() -> dict[str, object]:
    """Return the facts, also where the agent does not answer."""
    last: dict[str, str] = {}
    lost = False
    error = ""
    try:
        for job in asked("job/list"):
            if job["job_type"] == "backup" and job["job_status"] == "success":
                last[str(job["backup_name"])] = str(job["end_date"])
        lost = state_is_lost()
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as problem:
        last, error = {}, f"the agent does not answer at {SOCKET}: {problem or type(problem).__name__}"
    return {
        "version": version("papi-backup-agent"),
        "running": not error,
        "last_success": last,
        "state_lost": lost,
        "error": error,
    }


if __name__ == "__main__":
    print(json.dumps(facts()))
