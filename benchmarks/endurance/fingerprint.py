# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tree was at a moment: small enough to be kept for each backup, and exact."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from treecompare.entries import Entry, Tree, read_tree

SHOWN = 3

Fingerprint = Mapping[bytes, str]
"""By name, all that a restore has to bring back."""


def fingerprint(root: Path) -> Fingerprint:
    """Read a tree: kinds, contents, modes, owners, times, links and extended attributes."""
    tree = read_tree(str(root))
    return {name: _told(tree, name, entry) for name, entry in tree.entries.items()}


def _told(tree: Tree, name: bytes, entry: Entry) -> str:
    content = b""
    if entry.kind == "file":
        with open(tree.path(name), "rb") as file:
            content = hashlib.file_digest(file, "sha256").digest()
    xattrs = sorted((entry.xattrs or {}).items())
    # A directory's size is its file system's.
    size = 0 if entry.kind == "directory" else entry.size
    mode = "" if entry.kind == "symlink" else f"{entry.mode:04o}"
    return (
        f"{entry.kind} {mode} {entry.uid}:{entry.gid} {entry.mtime_ns} {size} {content.hex()[:32]}"
        f" {entry.target!r} {tree.leaders.get(name)!r} {xattrs}"
    )


def differences(wanted: Fingerprint, found: Fingerprint) -> str:
    """Return what is not the same, for people; "" for nothing."""
    other = [name for name in sorted({*wanted, *found}) if wanted.get(name) != found.get(name)]
    shown = "; ".join(f"{name!r}: {wanted.get(name)} / {found.get(name)}" for name in other[:SHOWN])
    return f"{len(other)} names differ: {shown}" if other else ""
