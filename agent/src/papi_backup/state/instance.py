# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which installation this is: an id made once, and made anew on a cloned machine (docs/format.md)."""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
from pathlib import Path

from papi_backup.state.database import Database

_INSTANCE = re.compile(rb"[0-9a-f]{16}")
_DIGEST = re.compile(rb"[0-9a-f]{64}")
log = logging.getLogger(__name__)


def instance_id(database: Database, machine_id_path: Path) -> str:
    """Return this installation's 16 hex digits.

    The machine id is kept beside it, hashed; where the state finds itself on another machine (a
    cloned host), it takes a new instance id, so that the clone does not extend the original's chains.
    A machine without a machine id (a container, say) is taken at its word.
    """
    machine = _machine_id(machine_id_path)
    with database.transaction():
        instance = _kept(database, "instance_id", _INSTANCE) or secrets.token_hex(8)
        known = _kept(database, "machine", _DIGEST)
        if machine and known and known != _digest(instance, machine):
            clone = secrets.token_hex(8)
            log.warning(
                "this state was made on another machine (a cloned host?): instance %s becomes %s,"
                " and the next backup of each configuration is a full",
                instance,
                clone,
            )
            instance = clone
        _put_meta(database, "instance_id", instance)
        if machine:
            _put_meta(database, "machine", _digest(instance, machine))
    return instance


def _digest(instance: str, machine: str) -> str:
    return hashlib.sha256(f"papi-backup machine {instance} {machine}".encode()).hexdigest()


def _machine_id(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _kept(database: Database, name: str, form: re.Pattern[bytes]) -> str:
    """Return a value of the table ``meta``; "" where none has the form of what was written."""
    row = database.row("SELECT value FROM meta WHERE name = ?", (name,))
    if row is None:
        return ""
    value = row["value"]
    if not isinstance(value, bytes) or form.fullmatch(value) is None:
        log.error("the %s in %s cannot be read: it is made anew", name, database.path)
        return ""
    return value.decode()


def _put_meta(database: Database, name: str, value: str) -> None:
    database.execute(
        "INSERT INTO meta (name, value) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE value <> excluded.value",
        (name, value.encode()),
    )
