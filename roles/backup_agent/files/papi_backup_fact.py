# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host fact ``ansible_local.papi_backup``: version, whether it answers, last successes, a lost state."""

from __future__ import annotations

import http.client
import json
import socket
from importlib.metadata import version
from typing import Any

SOCKET = "/run/papi-backup/agent.sock"
SECONDS = 5


class Connection(http.client.HTTPConnection):
    """HTTP over the agent's unix socket."""

    def connect(self) -> None:
        """Connect to the agent."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(SECONDS)
        self.sock.connect(SOCKET)


def asked(what: str) -> Any:
    """Return an answer of the agent; raises OSError, HTTPException, ValueError or KeyError."""
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
    found: dict[str, object] = {"version": version("papi-backup-agent"), "running": True, "last_success": {}}
    found["state_lost"] = False
    try:
        last = {
            str(job["backup_name"]): job["end_date"]
            for job in asked("job/list")
            if job["job_type"] == "backup" and job["job_status"] == "success"
        }
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        found["running"] = False
    else:
        found["last_success"] = last
        found["state_lost"] = state_is_lost()
    return found


if __name__ == "__main__":
    print(json.dumps(facts()))
