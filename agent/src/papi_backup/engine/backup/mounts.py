# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is mounted where, as far as a backup has to know it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

_MOUNTINFO = "/proc/self/mountinfo"
_AUTOMOUNT = b"autofs"
_KERNELS_OWN = frozenset(
    b"autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts efivarfs fusectl hugetlbfs mqueue nsfs "
    b"proc pstore rpc_pipefs securityfs selinuxfs sysfs tracefs".split()
)
"""File systems of the kernel itself: their mount points are kept, their contents are not."""


@dataclass(frozen=True, slots=True)
class Mounts:
    """Paths are relative to ``/``, devices as ``st_dev`` has them.

    ``points`` are all mount points, ``kernels_own`` those of the kernel's own file systems.  ``devices`` are
    of these file systems, each with its type; where an automount waits, something else will be mounted.
    """

    points: frozenset[bytes] = frozenset()
    kernels_own: frozenset[bytes] = frozenset()
    devices: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def read(cls, mountinfo: str = _MOUNTINFO) -> Self:
        """Return what is mounted now; nothing where ``/proc`` is not mounted."""
        try:
            with open(mountinfo, "rb") as file:
                lines = file.read().split(b"\n")
        except FileNotFoundError:
            return cls()
        points: set[bytes] = set()
        own: set[bytes] = set()
        devices: dict[int, str] = {}
        for line in filter(None, lines):
            # Of white space the kernel escapes these two alone, and a source may be empty.
            fields = line.split(b" ")
            point = fields[4].decode("unicode_escape").encode("latin-1").lstrip(b"/")
            kind = fields[fields.index(b"-") + 1]
            points.add(point)
            if kind in _KERNELS_OWN:
                own.add(point)
                if kind != _AUTOMOUNT:
                    major, minor = fields[2].split(b":")
                    devices[os.makedev(int(major), int(minor))] = kind.decode("ascii")
        return cls(frozenset(points), frozenset(own), devices)
