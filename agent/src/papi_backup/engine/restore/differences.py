# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How something on disk differs from its entry in anything but content: what a restore sets right and
what its plan counts are read off the same answer."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from papi_backup.engine.format.entries import SYMLINK, Entry

_OURS = (b"user.", b"trusted.", b"system.posix_acl_", b"security.capability")
"""Attributes that are removed where a backup does not have them; a label of a security module stays."""


@dataclass(frozen=True, slots=True)
class Differences:
    """What is not as the entry says.  ``extra`` attributes have to go, ``wrong`` ones have to be set.

    ``beyond_us``: the owner differs and this process may not give the file away; the mode is then
    compared without setuid and setgid bits, which are for the right owner only.
    """

    owner: bool
    beyond_us: bool
    mode: bool
    times: bool
    extra: tuple[bytes, ...]
    wrong: tuple[bytes, ...]

    def __bool__(self) -> bool:
        """Whether this process can set anything right."""
        mendable = self.owner and not self.beyond_us
        return mendable or self.mode or self.times or bool(self.extra or self.wrong)


def differences(
    target: int | bytes, status: os.stat_result, entry: Entry, owner: tuple[int, int]
) -> Differences:
    """Compare; ``status`` is of ``target``, a descriptor or a path that is not followed any further.

    ``owner`` is the (uid, gid) the entry gets on this host.
    """
    found = attributes_of(target)
    disowned = (status.st_uid, status.st_gid) != owner
    beyond_us = disowned and not _may_give(status, owner)
    mode = without_set_ids(entry.mode) if beyond_us else entry.mode
    return Differences(
        owner=disowned,
        beyond_us=beyond_us,
        mode=entry.type != SYMLINK and stat.S_IMODE(status.st_mode) != mode,
        times=status.st_mtime_ns != entry.mtime_ns,
        extra=extra_of(found, entry),
        wrong=tuple(
            name for name, value in entry.xattrs.items() if name not in found or _value(target, name) != value
        ),
    )


def without_set_ids(mode: int) -> int:
    """Return a mode for an owner that setuid and setgid bits were not meant for."""
    return mode & ~(stat.S_ISUID | stat.S_ISGID)


def _may_give(status: os.stat_result, owner: tuple[int, int]) -> bool:
    """Only root gives files away; others change the group of their own, to one they are in."""
    user, group = owner
    mine = user == status.st_uid == os.geteuid()
    return os.geteuid() == 0 or (mine and group in (os.getegid(), *os.getgroups()))


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
