# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How something on disk differs from its entry in anything but content: what a restore sets right and
what its plan counts are read off the same answer."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass

from papi_backup.engine.format.entries import SYMLINK, Entry

_OURS = (b"user.", b"trusted.", b"system.posix_acl_", b"security.capability")
"""Attributes that are removed where a backup does not have them; a label of a security module stays."""
_PRIVILEGED = (b"security.", b"trusted.")


@dataclass(frozen=True, slots=True)
class Differences:
    """What is not as the entry says.  ``extra`` attributes have to go, ``wrong`` ones have to be set.

    ``mendable``: whether this process can set any of it right.  Where it may not give the file away, the
    mode is compared without setuid and setgid bits, which are for the right owner only.
    """

    owner: bool
    mode: bool
    times: bool
    extra: tuple[bytes, ...]
    wrong: tuple[bytes, ...]
    mendable: bool


def differences(
    target: int | bytes, status: os.stat_result, entry: Entry, owner: tuple[int, int]
) -> Differences:
    """Compare; ``status`` is of ``target``, a descriptor or a path that is not followed any further.

    ``owner`` is the (uid, gid) the entry gets on this host.
    """
    found = attributes_of(target)
    disowned = (status.st_uid, status.st_gid) != owner
    given = disowned and _may_give(status, owner)
    wanted_mode = entry.mode if given or not disowned else without_set_ids(entry.mode)
    mode = entry.type != SYMLINK and stat.S_IMODE(status.st_mode) != wanted_mode
    times = status.st_mtime_ns != entry.mtime_ns
    extra = extra_of(found, entry)
    wrong = tuple(
        name for name, value in entry.xattrs.items() if name not in found or _value(target, name) != value
    )
    attributes = any(_can_set(target, name) for name in (*extra, *wrong))
    return Differences(disowned, mode, times, extra, wrong, given or mode or times or attributes)


def without_set_ids(mode: int) -> int:
    """Return a mode for an owner that setuid and setgid bits were not meant for."""
    return mode & ~(stat.S_ISUID | stat.S_ISGID)


def _may_give(status: os.stat_result, owner: tuple[int, int]) -> bool:
    """Only root gives files away; others change the group of their own, to one they are in."""
    user, group = owner
    mine = user == status.st_uid == os.geteuid()
    return os.geteuid() == 0 or (mine and group in (os.getegid(), *os.getgroups()))


def _can_set(target: int | bytes, name: bytes) -> bool:
    """Whether a file system keeps such attributes and this process may set them, as far as can be told."""
    if os.geteuid() != 0 and name.startswith(_PRIVILEGED):
        return False
    try:
        os.getxattr(target, name)
    except OSError as error:
        return error.errno != errno.EOPNOTSUPP
    return True


def extra_of(found: tuple[bytes, ...], entry: Entry) -> tuple[bytes, ...]:
    """Return which of the attributes ``found`` the entry does not have and a restore removes."""
    return tuple(name for name in found if name not in entry.xattrs and name.startswith(_OURS))


def attributes_of(target: int | bytes) -> tuple[bytes, ...]:
    """Return the names of the extended attributes; none where the file system keeps none."""
    try:
        return tuple(map(os.fsencode, os.listxattr(target)))
    except OSError:
        return ()


def _value(target: int | bytes, name: bytes) -> bytes | None:
    try:
        return os.getxattr(target, name)
    except OSError:
        return None
