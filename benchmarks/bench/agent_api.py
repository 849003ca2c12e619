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


def answer_of(socket: Path, method: str, **parameters: Value) -> dict[str, Any]:
    """Call ``/papi/backup/METHOD``; return the whole answer, which may be an error."""
    with contextlib.closing(UnixConnection(socket, CALL_SECONDS)) as connection:
        body = urlencode(parameters, doseq=True)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", f"/papi/backup/{method}", body, headers)
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
    return answer


def call(socket: Path, method: str, **parameters: Value) -> dict[str, Any]:
    """Return the same where it is a success; raises :class:`StepFailedError` otherwise."""
    answer = answer_of(socket, method, **parameters)
    if not answer.get("success"):
        raise StepFailedError(f"{method}: {answer.get('error_code')} {answer.get('error')}")
    return answer


def job(socket: Path, job_id: int) -> dict[str, Any]:
    """Return one job as ``list_jobs`` tells it."""
    found = next(one for one in call(socket, "job/list")["data"] if one["job_id"] == job_id)
    return dict(found)
