# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which threads of a listener answer a request: by who calls, and by what a call waits for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from papi_backup.api.dispatch import Target
from papi_backup.api.fields import DRY_RUN
from papi_backup.api.parameters import read_arguments
from papi_backup.api.raw_parameters import is_small, raw_parameters
from papi_backup.api.request import Request
from papi_backup.model.errors import InvalidParameterError

Lane = Literal["stranger", "bulky", "password", "refusal", "glance", "quick", "test", "list"]
THREADS: Mapping[Lane, int] = {
    # Each takes turns at the interpreter with all other threads, those of known callers included.
    "stranger": 2,
    "bulky": 1,
    "password": 3,
    # Nothing of a request is looked at in these, so that nobody waits for long in them: the one tells
    # strangers that they are refused, the other finds out which tokens and cookies are good now.
    "refusal": 1,
    "glance": 1,
    "quick": 16,
    # Calls that wait for storages have threads of their own, so that they do not keep others waiting.  They
    # are many, because one that waits for its turn at a hung storage holds a thread as well.
    "test": 32,
    "list": 16,
}
"""Of each listener."""


def lane_of_stranger(request: Request) -> Lane:
    """Return whose threads find out who calls: a small request does not wait behind large ones."""
    small = is_small(request.head.query, request.head.content_type, request.body)
    return "stranger" if small else "bulky"


def lane_of(target: Target) -> Lane | None:
    """Return the lane of a known caller's call by its path; None: :func:`lane_by_content` knows."""
    asks = target.endpoint.asks_storages if target.endpoint is not None else ""
    if asks == "dry_run":
        return None
    return asks or "quick"


def lane_by_content(request: Request) -> Lane:
    """Return the lane of a call that asks a storage with ``dry_run`` alone."""
    try:
        raw = raw_parameters(request.head.query, request.head.content_type, request.body, ("dry_run",))
        return "list" if read_arguments((DRY_RUN,), raw).flag("dry_run") else "quick"
    except InvalidParameterError:
        return "quick"  # which is where it is refused
