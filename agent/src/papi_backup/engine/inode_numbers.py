# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which file systems give a thing another inode number once the kernel has forgotten the thing."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

_MOUNTINFO = Path("/proc/self/mountinfo")
_MADE_UP = frozenset((b"vfat", b"msdos", b"exfat", b"fuse", b"fuseblk"))
"""Types of file systems that number things as they meet them; ``fuse`` with whatever subtype."""

_CLIENTS = frozenset((b"cifs", b"smb3"))
_OWN_NUMBERS = b"noserverino"
"""With this option a client makes numbers up instead of asking the server."""


def are_made_up(device: int, mountinfo: Path = _MOUNTINFO) -> bool:
    """Return whether the numbers on a device (``st_dev``) may differ between two looks at one thing.

    False where no mount of the device is known.
    """
    wanted = b"%d:%d" % (os.major(device), os.minor(device))
    try:
        lines = mountinfo.read_bytes().split(b"\n")
    except OSError:
        return False
    for line in filter(None, lines):
        fields = line.split(b" ")
        if fields[2] == wanted:
            kind, _source, options = fields[fields.index(b"-") + 1 :][:3]
            numbers_of_its_own = kind in _CLIENTS and _OWN_NUMBERS in options.split(b",")
            return kind.partition(b".")[0] in _MADE_UP or numbers_of_its_own
    return False


@lru_cache(maxsize=256)
def made_up_on(device: int) -> bool:
    """Return what :func:`are_made_up` does, as it was when it was first asked by this process."""
    return are_made_up(device)
