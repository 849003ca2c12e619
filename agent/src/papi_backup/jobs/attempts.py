# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often a run was tried: told by the request id of its job, which names the job of the attempt before."""

from __future__ import annotations

import re

MOST_ATTEMPTS = 3
"""Of one run in all, whatever ended the others: a stop of the agent, its death, the host's loss of power."""

PREFIX = "requeue:"
"""Request ids that begin so are the agent's own; a client's would spend the attempts of somebody's run."""

_AGAIN = re.compile(rf"{PREFIX}[0-9]+(?::(?P<attempt>[0-9]+))?", re.ASCII)


def attempt_of(request_id: str) -> int:
    """Return which attempt a job is, 1 for the first.  An id without a number is a second one's."""
    match = _AGAIN.fullmatch(request_id)
    return 1 if match is None else int(match["attempt"] or 2)


def next_attempt(job_id: int, request_id: str) -> str | None:
    """Return the request id of the next attempt of a job's run; None when there were enough."""
    attempt = attempt_of(request_id) + 1
    return f"{PREFIX}{job_id}:{attempt}" if attempt <= MOST_ATTEMPTS else None
