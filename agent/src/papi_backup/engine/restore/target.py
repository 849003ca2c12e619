# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The restore's target: resolved, checked and made before the first file."""

from __future__ import annotations

import ctypes
import os
import secrets
from collections.abc import Iterable, Iterator

from papi_backup.engine.restore.failures import reason_of
from papi_backup.engine.restore.tally import shown
from papi_backup.engine.restore.tree import TEMPORARY_PREFIX, Target
from papi_backup.engine.termination import termination_deferred
from papi_backup.model.errors import InvalidParameterError, TransferError
from papi_backup.model.job import RestoreOrder

_PARAMETER = "target_dir"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def resolve_target(order: RestoreOrder) -> Target:
    """Return where an order restores to.  Raises InvalidParameterError; changes nothing."""
    wanted = os.fsencode(order.options.target_dir) or b"/"
    if not wanted.startswith(b"/") or b"\0" in wanted:
        raise InvalidParameterError(f"target_dir must be an absolute path, not {wanted!r}.", _PARAMETER)
    path = os.path.realpath(wanted)
    prefix = path.rstrip(b"/") + b"/"
    own_paths = {place for own in order.own_paths for place in _places(os.fsencode(own))}
    for own in own_paths:
        if prefix.startswith(own + b"/"):
            raise InvalidParameterError(
                f"target_dir is in {shown(own)}, which belongs to the agent itself.", _PARAMETER
            )
    protected = tuple(own.removeprefix(prefix) for own in own_paths if own.startswith(prefix))
    target = Target(path, order.options.overwrite, protected)
    _require_possible(target)
    return target


def _places(path: bytes) -> Iterator[bytes]:
    """Yield where a path really is, and each symbolic link by which it is found."""
    above = os.path.normpath(path)
    yield os.path.realpath(above)
    while above not in (b"/", b"//"):
        above, name = os.path.split(above)
        place = os.path.join(os.path.realpath(above), name)
        if os.path.islink(place):
            yield place


def _require_possible(target: Target) -> None:
    where = target.told(b"")
    if os.path.lexists(target.path):
        if not os.path.isdir(target.path):
            raise InvalidParameterError(f"target_dir {where} is not a directory.", _PARAMETER)
    elif not os.path.isdir(os.path.dirname(target.path)):
        raise InvalidParameterError(
            f"target_dir {where} does not exist, nor does the directory it would be made in.", _PARAMETER
        )


def make_target(target: Target) -> bool:
    """Make sure the target exists and can be written to; return whether it was made.

    Raises InvalidParameterError naming it and the reason.
    """
    made = False
    try:
        try:
            os.mkdir(target.path, 0o700)
            made = True
        except FileExistsError:
            pass
        if not target.in_place:
            _probe(target.path)
    except OSError as error:
        raise InvalidParameterError(
            f"target_dir {target.told(b'')} cannot be written to: {reason_of(error)}.", _PARAMETER
        ) from None
    return made


def _probe(path: bytes) -> None:
    name = os.path.join(path, TEMPORARY_PREFIX + b"probe-" + secrets.token_hex(8).encode())
    with termination_deferred():
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        os.unlink(name)


def is_empty(target: Target) -> bool:
    """Return whether nothing is in the target yet."""
    try:
        with os.scandir(target.path) as entries:
            return next(entries, None) is None
    except FileNotFoundError:
        return True
    except OSError:
        return False


def free_bytes(target: Target) -> int | None:
    """Return the bytes this process may write to the target's file system, None if it does not tell."""
    path = target.path if os.path.isdir(target.path) else os.path.dirname(target.path)
    status = os.statvfs(path)
    if not status.f_blocks:
        return None
    return status.f_frsize * (status.f_bfree if os.geteuid() == 0 else status.f_bavail)


def sync_file_systems(target: Target, directories: Iterable[bytes]) -> None:
    """Make what was written durable, once for each file system.  Raises TransferError."""
    libc = ctypes.CDLL(None, use_errno=True)
    for directory in directories:
        try:
            descriptor = os.open(os.path.join(target.path, directory), _DIRECTORY)
        except OSError:
            os.sync()  # too long a path, or a directory that its owner may not read
            continue
        try:
            if libc.syncfs(descriptor):
                reason = reason_of(OSError(ctypes.get_errno(), ""))
                raise TransferError(f"Making {target.told(directory)} durable failed: {reason}.")
        finally:
            os.close(descriptor)
