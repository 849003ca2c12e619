# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The restore's target: followed once to a descriptor, checked and made before the first file."""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from papi_backup.engine.restore.failures import reason_of
from papi_backup.engine.restore.tree import TEMPORARY_PREFIX, Target
from papi_backup.engine.termination import termination_deferred
from papi_backup.host_paths import (
    HeldDirectory,
    NothingThereError,
    UnsafePathError,
    hold,
    open_below,
    shown,
)
from papi_backup.model.errors import InvalidParameterError, TransferError
from papi_backup.model.job import RestoreOrder

_PARAMETER = "target_dir"
_READ = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Destination:
    """A target and its directory, held open: whatever becomes of its name, this is where files go."""

    target: Target
    directory: HeldDirectory

    @property
    def root(self) -> int | None:
        """The descriptor of the target's directory, None while it is not made."""
        return self.directory.descriptor if self.directory.exists else None

    @property
    def made_root(self) -> int:
        """The descriptor of the target's directory, which :func:`make_target` has made sure of."""
        if not self.directory.exists:
            raise RuntimeError("the target is not made yet")
        return self.directory.descriptor


@contextlib.contextmanager
def resolved_target(order: RestoreOrder) -> Iterator[Destination]:
    """Give where an order restores to, held open for the block.

    Changes nothing.  Raises InvalidParameterError, also for a place that somebody else could lead elsewhere.
    """
    directory = _followed(order)
    try:
        own_paths = {place for own in order.own_paths for place in _places(os.fsencode(own))}
        own_directories = frozenset(_identities(own_paths))
        _refuse_own(directory, own_paths, own_directories)
        prefix = directory.path.rstrip(b"/") + b"/"
        protected = tuple(own.removeprefix(prefix) for own in own_paths if own.startswith(prefix))
        target = Target(directory.path, order.options.overwrite, protected, own_directories)
        yield Destination(target, directory)
    finally:
        directory.close()


def _followed(order: RestoreOrder) -> HeldDirectory:
    wanted = os.fsencode(order.options.target_dir) or b"/"
    if not wanted.startswith(b"/") or b"\0" in wanted:
        raise InvalidParameterError(f"target_dir must be an absolute path, not {wanted!r}.", _PARAMETER)
    told = f"target_dir {shown(wanted)}"
    try:
        return hold(wanted)
    except UnsafePathError as error:
        raise InvalidParameterError(f"{told} is refused: {error}. Nothing was written.", _PARAMETER) from None
    except NothingThereError:
        raise InvalidParameterError(
            f"{told} does not exist, nor does the directory it would be made in.", _PARAMETER
        ) from None
    except NotADirectoryError:
        raise InvalidParameterError(f"{told} is not a directory.", _PARAMETER) from None
    except OSError as error:
        raise InvalidParameterError(f"{told} cannot be reached: {reason_of(error)}.", _PARAMETER) from None


def _places(path: bytes) -> Iterator[bytes]:
    """Yield where a path really is, and each symbolic link by which it is found."""
    above = os.path.normpath(path)
    yield os.path.realpath(above)
    while above not in (b"/", b"//"):
        above, name = os.path.split(above)
        place = os.path.join(os.path.realpath(above), name)
        if os.path.islink(place):
            yield place


def _identities(paths: Iterable[bytes]) -> Iterator[tuple[int, int]]:
    """Yield what the directories among some paths are, by whatever name."""
    for path in paths:
        with contextlib.suppress(OSError):
            status = os.stat(path)
            if os.path.isdir(path):
                yield status.st_dev, status.st_ino


def _refuse_own(
    directory: HeldDirectory, own_paths: Iterable[bytes], own_directories: frozenset[tuple[int, int]]
) -> None:
    """Raise InvalidParameterError for a target in what belongs to the agent, by name or under another."""
    prefix = directory.path.rstrip(b"/") + b"/"
    found = next((own for own in own_paths if prefix.startswith(own + b"/")), None)
    if found is None:
        found = next((step.path for step in directory.steps if step.identity in own_directories), None)
    if found is not None:
        raise InvalidParameterError(
            f"target_dir is in {shown(found)}, which belongs to the agent itself.", _PARAMETER
        )


def make_target(destination: Destination) -> bool:
    """Make sure the target exists and can be written to; return whether it was made.

    Raises InvalidParameterError naming it and the reason.
    """
    told = f"target_dir {destination.target.told(b'')}"
    try:
        made = destination.directory.make()
        if not destination.target.in_place:
            _probe(destination.made_root)
    except UnsafePathError as error:
        raise InvalidParameterError(f"{told} is refused: {error}. Nothing was written.", _PARAMETER) from None
    except OSError as error:
        raise InvalidParameterError(f"{told} cannot be written to: {reason_of(error)}.", _PARAMETER) from None
    return made


def _probe(root: int) -> None:
    name = TEMPORARY_PREFIX + b"probe-" + secrets.token_hex(8).encode()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with termination_deferred():
        os.close(os.open(name, flags, 0o600, dir_fd=root))
        os.unlink(name, dir_fd=root)


def is_empty(destination: Destination) -> bool:
    """Return whether nothing is in the target yet."""
    if destination.root is None:
        return True
    try:
        readable = os.open(b".", _READ, dir_fd=destination.root)
    except OSError:
        return False
    try:
        with os.scandir(readable) as entries:
            return next(entries, None) is None
    except OSError:
        return False
    finally:
        os.close(readable)


def free_bytes(destination: Destination) -> int | None:
    """Return the bytes this process may write to the target's file system, None if it does not tell."""
    status = os.statvfs(destination.directory.descriptor)
    if not status.f_blocks:
        return None
    return status.f_frsize * (status.f_bfree if os.geteuid() == 0 else status.f_bavail)


def sync_file_systems(destination: Destination, directories: Iterable[bytes]) -> None:
    """Make what was written durable, once for each file system.  Raises TransferError."""
    libc = ctypes.CDLL(None, use_errno=True)
    for directory in directories:
        try:
            descriptor = open_below(destination.made_root, directory, os.O_RDONLY)
        except OSError:
            os.sync()  # gone meanwhile, replaced by a link, or a directory that its owner may not read
            continue
        try:
            if libc.syncfs(descriptor):
                reason = reason_of(OSError(ctypes.get_errno(), ""))
                raise TransferError(f"Making {destination.target.told(directory)} durable failed: {reason}.")
        finally:
            os.close(descriptor)
