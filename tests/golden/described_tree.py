# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree as JSON that compares: everything a restore without root must bring back."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import Any

Description = dict[str, dict[str, Any]]


def describe(root: str) -> Description:
    """Return what is below ``root`` by relative path, undecodable bytes as surrogate escapes."""
    found: Description = {".": facts(root)}
    first: dict[tuple[int, int], str] = {}
    for directory, names, files in os.walk(root):
        for name in sorted(names + files):
            path = os.path.join(directory, name)
            relative = os.path.relpath(path, root)
            found[relative] = facts(path)
            status = os.lstat(path)
            if not stat.S_ISDIR(status.st_mode) and status.st_nlink > 1:
                found[relative]["same file as"] = first.setdefault((status.st_dev, status.st_ino), relative)
    return dict(sorted(found.items()))


def facts(path: str) -> dict[str, Any]:
    """Return everything about one file but its owner."""
    status = os.lstat(path)
    known: dict[str, Any] = {"mode": stat.filemode(status.st_mode), "mtime_ns": status.st_mtime_ns}
    if stat.S_ISLNK(status.st_mode):
        known["target"] = os.readlink(path)
        return known
    attributes = {
        name: os.getxattr(path, name).hex() for name in os.listxattr(path) if name.startswith("user.")
    }
    if attributes:
        known["xattrs"] = dict(sorted(attributes.items()))
    if stat.S_ISREG(status.st_mode):
        with open(path, "rb") as file:
            known["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
        known["size"] = status.st_size
    return known
