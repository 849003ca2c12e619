# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agent asks a query process, and how question and answer look on the pipes: one JSON line each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from papi_backup.jobs.codec import decode, encode
from papi_backup.jobs.orders import Failure
from papi_backup.model.job import BackupOrder, RestoreOrder
from papi_backup.model.storage import StorageAccess


@dataclass(frozen=True, slots=True)
class ListBackups:
    """Which backups of ``host_name`` ("" = of all hosts) are there?"""

    access: StorageAccess
    host_name: str


@dataclass(frozen=True, slots=True)
class ListHostNames:
    """Which hosts have backups there?"""

    access: StorageAccess


@dataclass(frozen=True, slots=True)
class CheckStorage:
    """Does the storage do all that backups need?

    ``until``: when the answer must be there by :func:`time.monotonic`, a clock that processes share.
    """

    access: StorageAccess
    until: float


@dataclass(frozen=True, slots=True)
class CheckBackup:
    """Is all there that this backup needs, with ``room`` bytes on its storage?  ``until`` as above."""

    order: BackupOrder
    room: int
    until: float


@dataclass(frozen=True, slots=True)
class PlanRestore:
    """What would this restore do?"""

    order: RestoreOrder


Question = ListBackups | ListHostNames | CheckStorage | CheckBackup | PlanRestore


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and the seconds its answer may take."""

    question: Question
    seconds: float


def dump_question(asked: Asked) -> bytes:
    """Return the line for a query process.  It holds secrets."""
    return json.dumps(encode(asked)).encode() + b"\n"


def load_question(line: bytes) -> Asked:
    """Read what :func:`dump_question` wrote; raises ValueError or TypeError for anything else."""
    return decode(Asked, json.loads(line))


def dump_answer(answer: object) -> bytes:
    """Return the line for an answer or a :class:`Failure`."""
    key = "error" if isinstance(answer, Failure) else "result"
    return json.dumps({key: encode(answer)}).encode() + b"\n"


def load_answer(line: bytes) -> Any:
    """Return the answer's data; raises the :class:`PapiError` it tells, or ValueError or TypeError."""
    fields = json.loads(line)
    if not isinstance(fields, dict) or not ({"error", "result"} & fields.keys()):
        raise TypeError("an answer is a JSON object with a result or an error")
    if "error" in fields:
        raise decode(Failure, fields["error"]).as_error()
    return fields["result"]
