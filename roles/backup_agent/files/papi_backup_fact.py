# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host fact ``ansible_local.papi_backup``: version, whether the agent answers, last success by backup."""

from __future__ import annotations

import http.client
import json
import socket
from importlib.metadata import version

SOCKET = "/run/papi-backup/agent.sock"
SECONDS = 5


class Connection(http.client.HTTPConnection):
    """HTTP over the agent's unix socket."""

    def connect(self) -> None:
        """Connect to the agent."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(SECONDS)
        self.sock.connect(SOCKET)


def jobs() -> list[dict[str, object]]:
    """Return the job history; raises OSError, HTTPException, ValueError or KeyError."""
    connection = Connection("localhost")
    try:
        connection.request("GET", "/papi/backup/job/list.json")
        answer = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return list(answer["data"])


def facts() -> dict[str, object]:
    """Return the facts, also where the agent does not answer."""
    found: dict[str, object] = {"version": version("papi-backup-agent"), "running": True, "last_success": {}}
    try:
        last = {
            str(job["backup_name"]): job["end_date"]
            for job in jobs()
            if job["job_type"] == "backup" and job["job_status"] == "success"
        }
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        found["running"] = False
    else:
        found["last_success"] = last
    return found


if __name__ == "__main__":
    print(json.dumps(facts()))
