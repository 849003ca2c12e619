# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The outermost edge of a worker process: its logging, and errors turned into messages."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import TypeVar

from papi_backup.jobs.orders import Failure
from papi_backup.jobs.redaction import RedactingFormatter, Redactor
from papi_backup.model.errors import InternalError, PapiError

T = TypeVar("T")
log = logging.getLogger(__name__)


def log_to_stderr(redactor: Redactor) -> None:
    """Send this process's log to the agent's, without the secrets of its order."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(RedactingFormatter("%(levelname)s %(name)s[%(process)d]: %(message)s", redactor))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # It tells of each connection and each login.
    logging.getLogger("paramiko").setLevel(logging.WARNING)


def outcome_of(task: Callable[[], T], redactor: Redactor) -> T | Failure:
    """Run ``task`` and return its result or why it failed.

    A :class:`PapiError` keeps its code.  Anything else is a programming error or a broken host and
    is told as 3015 with its class and text; its traceback goes to the log.  It never looks like a
    fault of the backup or the storage.
    """
    try:
        return task()
    except PapiError as error:
        log.warning("failed with %s: %s", error.name, error.message)
        return Failure(error.code, redactor(error.message))
    except Exception as error:  # the process's outermost edge: re-reported as 3015, logged in full
        log.exception("unexpected error")
        return Failure(InternalError.code, redactor(f"{type(error).__name__}: {error}"))
