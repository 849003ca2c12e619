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
class FindBackup:
    """Is the backup there that a job with this order may have written?"""

    order: BackupOrder


@dataclass(frozen=True, slots=True)
class PlanRestore:
    """What would this restore do?"""

    order: RestoreOrder


Question = ListBackups | ListHostNames | CheckStorage | CheckBackup | FindBackup | PlanRestore


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


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back; ``spent``: the process that answered is of no further use.

    ``host_key`` is what an SSH server showed whose key nobody knew.
    """

    fields: dict[str, Any]
    spent: bool
    host_key: str = ""

    def data(self) -> Any:
        """Return the answer's data; raises the :class:`PapiError` it tells."""
        if "error" in self.fields:
            raise decode(Failure, self.fields["error"]).as_error()
        return self.fields["result"]


def dump_answer(answer: object, *, spent: bool = False, host_key: str = "") -> bytes:
    """Return the line for an answer or a :class:`Failure`."""
    key = "error" if isinstance(answer, Failure) else "result"
    return json.dumps({key: encode(answer), "spent": spent, "host_key": host_key}).encode() + b"\n"


def load_answer(line: bytes) -> Answered:
    """Read what :func:`dump_answer` wrote; raises ValueError or TypeError for anything else."""
    fields = json.loads(line)
    if not isinstance(fields, dict) or not ({"error", "result"} & fields.keys()):
        raise TypeError("an answer is a JSON object with a result or an error")
    return Answered(fields, fields.get("spent") is True, str(fields.get("host_key", "")))
