# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls of the agent's API over its unix socket."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bench.measuring import StepFailedError
from realparts.agent import UnixConnection

CALL_SECONDS = 300.0
Value = str | int | Sequence[str]


def call(socket: Path, method: str, **parameters: Value) -> dict[str, Any]:
    """Call ``/papi/backup/METHOD``; return the whole answer.  Raises :class:`StepFailedError`."""
    with contextlib.closing(UnixConnection(socket, CALL_SECONDS)) as connection:
        body = urlencode(parameters, doseq=True)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", f"/papi/backup/{method}", body, headers)
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
    if not answer.get("success"):
        raise StepFailedError(f"{method}: {answer.get('error_code')} {answer.get('error')}")
    return answer


def job(socket: Path, job_id: int) -> dict[str, Any]:
    """Return one job as ``list_jobs`` tells it."""
    found = next(one for one in call(socket, "job/list")["data"] if one["job_id"] == job_id)
    return dict(found)
