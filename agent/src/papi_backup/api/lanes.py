# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which threads answer a request: those of quick calls, of tests, or of what else waits for storages."""

from __future__ import annotations

from typing import Literal

from papi_backup.api.dispatch import Target
from papi_backup.api.fields import DRY_RUN
from papi_backup.api.parameters import read_arguments
from papi_backup.api.raw_parameters import raw_parameters
from papi_backup.api.request import Request
from papi_backup.model.errors import InvalidParameterError

Lane = Literal["quick", "test", "list"]


def lane_of(target: Target) -> Lane | None:
    """Return the lane of what a path names; None: :func:`lane_by_content` knows."""
    asks = target.endpoint.asks_storages if target.endpoint is not None else ""
    if asks == "dry_run":
        return None
    return asks or "quick"


def lane_by_content(request: Request) -> Lane:
    """Return the lane of a call that asks a storage with ``dry_run`` alone."""
    try:
        raw = raw_parameters(request.query, request.content_type, request.body)
        return "list" if read_arguments((DRY_RUN,), raw).flag("dry_run") else "quick"
    except InvalidParameterError:
        return "quick"  # which is where it is refused
