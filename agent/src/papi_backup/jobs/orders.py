# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agent and its worker processes say to each other: one order in, JSON lines out."""

from __future__ import annotations

import json
from dataclasses import dataclass

from papi_backup.jobs.codec import KIND, decode, encode
from papi_backup.model.errors import PapiError, from_code
from papi_backup.model.job import BackupOrder, JobResult, Progress, RestoreOrder

JobOrder = BackupOrder | RestoreOrder


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a worker's task failed: a papi code and a text for a person, without secrets."""

    code: int
    message: str

    def as_error(self) -> PapiError:
        """Return the error this stands for."""
        return from_code(self.code, self.message)


@dataclass(frozen=True, slots=True)
class HostKeySeen:
    """What an SSH server showed whose key nobody knew, ``<type> <base64>``."""

    host_key: str


Message = Progress | HostKeySeen | JobResult | Failure


def dump_order(order: JobOrder) -> bytes:
    """Return the bytes for a worker's standard input.  They hold secrets."""
    return json.dumps(encode(order)).encode()


def load_order(data: bytes) -> JobOrder:
    """Read what :func:`dump_order` wrote; raises ValueError or TypeError for anything else."""
    fields = json.loads(data)
    name = fields.get(KIND) if isinstance(fields, dict) else None
    if name == BackupOrder.__name__:
        return decode(BackupOrder, fields)
    if name == RestoreOrder.__name__:
        return decode(RestoreOrder, fields)
    raise ValueError("the standard input holds no order")


def dump_message(message: Message) -> bytes:
    """Return one line for the message pipe."""
    key = {Progress: "progress", HostKeySeen: "seen", JobResult: "result", Failure: "error"}[type(message)]
    return json.dumps({key: encode(message)}).encode() + b"\n"


def load_message(line: bytes) -> Message:
    """Read a line of the message pipe; raises ValueError or TypeError for anything else."""
    fields = json.loads(line)
    if not isinstance(fields, dict):
        raise TypeError("a message is a JSON object")
    if "progress" in fields:
        return decode(Progress, fields["progress"])
    if "seen" in fields:
        return decode(HostKeySeen, fields["seen"])
    if "result" in fields:
        return decode(JobResult, fields["result"])
    if "error" in fields:
        return decode(Failure, fields["error"])
    raise ValueError("a message of an unknown kind")
