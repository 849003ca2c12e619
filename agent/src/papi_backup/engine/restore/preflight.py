# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is checked of a target before the first byte is written, by a restore and by its plan alike."""

from __future__ import annotations

from papi_backup.engine.restore.existing import Existing
from papi_backup.engine.restore.scope import Scope, Surveyor
from papi_backup.engine.restore.tally import Causes
from papi_backup.engine.restore.target import Destination, free_bytes, is_empty
from papi_backup.engine.restore.tree import BlockedError
from papi_backup.model.errors import InvalidParameterError


def check_target(destination: Destination, scope: Scope, surveyor: Surveyor) -> Causes:
    """Raise InvalidParameterError (3005) if the restore cannot go well; return warnings."""
    warnings = Causes()
    if is_empty(destination):
        _check_space(destination, scope, surveyor, warnings)
    elif destination.target.overwrite == "fail":
        _check_conflicts(destination, scope, surveyor)
    return warnings


def _check_space(destination: Destination, scope: Scope, surveyor: Surveyor, warnings: Causes) -> None:
    free = free_bytes(destination)
    if free is None or scope.bytes <= free:
        return
    needed = surveyor.stored_bytes(scope.leaves)
    text = f"the files hold {needed:,} bytes and {destination.target.told(b'')} has {free:,} free"
    if needed > 2 * free:  # a compressing file system may hold a little more than it has free
        raise InvalidParameterError(f"Too little space: {text}. Nothing was written.", "target_dir")
    if needed > free:
        warnings.add(f"space is short: {text}", None)


def _check_conflicts(destination: Destination, scope: Scope, surveyor: Surveyor) -> None:
    conflicts = Causes()
    with Existing(destination) as existing:
        for entry in surveyor.selected(scope.leaves):
            if entry.path and _is_taken(existing, entry.path):
                conflicts.add("there", entry.path)
    if conflicts:
        raise InvalidParameterError(
            f"overwrite=fail, and something is there already: {conflicts.by_cause['there'].told()} "
            f"below {destination.target.told(b'')}. Nothing was written.",
            "overwrite",
        )


def _is_taken(existing: Existing, path: bytes) -> bool:
    try:
        return existing.find(path) is not None
    except BlockedError:
        return True
