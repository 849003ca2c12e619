# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small tree of what file systems can hold and ordinary trees rarely do."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path

_ANYONE = 0xFFFFFFFF


def make_odd_tree(root: Path) -> list[str]:
    """Make the tree; return a note for each thing that this user or file system cannot have."""
    root.mkdir()
    _make_names(root)
    _make_links(root)
    _make_sparse(root / "sparse")
    (root / "empty directory").mkdir()
    (root / "empty").touch()
    (root / "secret").write_bytes(b"for the owner alone")
    (root / "secret").chmod(0o4600)
    (root / "quiet").write_bytes(b"before")
    (root / "kind").write_bytes(b"a file, for now")
    (root / "other kind").mkdir()
    (root / "other kind" / "inside").touch()
    os.mkfifo(root / "fifo", 0o640)
    old = -1_000_000_000 * 10**9 + 1  # 1938, with a nanosecond
    os.utime(root / "empty", ns=(old, old))
    return [
        note for make in (_make_xattrs, _make_acl, _make_owned, _make_device) if (note := _try(make, root))
    ]


def set_acl(path: Path, permissions: int) -> None:
    """Let one more user (id 12345) have ``permissions`` (rwx bits)."""
    lines = (
        (1, 6, _ANYONE),
        (2, permissions, 12345),
        (4, 4, _ANYONE),
        (0x10, 6, _ANYONE),
        (0x20, 0, _ANYONE),
    )
    os.setxattr(
        path,
        "system.posix_acl_access",
        struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *one) for one in lines),
    )


def _try(make: Callable[[Path], None], root: Path) -> str:
    try:
        make(root)
    except OSError as error:
        return f"without {make.__name__.removeprefix('_make_')} ({error.strerror})"
    return ""


def _make_names(root: Path) -> None:
    base = os.fsencode(root / "names")
    os.mkdir(base)
    names = (b"not \xff\xfe text", b"new\nline", b" spaces ", b"-dash", b"back\\slash", b"*", "snö".encode())
    for name in (*names, b"n" * 255, b"a-b", b"a", b"a.b"):
        with open(os.path.join(base, name), "wb") as file:
            file.write(name)
    os.makedirs(os.path.join(base, b"deep", *[b"%03d" % level for level in range(40)]))


def _make_links(root: Path) -> None:
    (root / "linked").write_bytes(b"one file with three names\n" * 40)
    (root / "elsewhere").mkdir()
    os.link(root / "linked", root / "linked too")
    os.link(root / "linked", root / "elsewhere" / "linked three")
    (root / "symlink").symlink_to("linked")
    (root / "dangling").symlink_to("/nowhere/at all")
    os.symlink(b"target \xff", os.fsencode(root / "odd target"))
    (root / "symlink to a directory").symlink_to("elsewhere")


def _make_sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(24 << 20)
        file.seek(9 << 20)
        file.write(b"an island" * 1000)


def _make_xattrs(root: Path) -> None:
    path = root / "with xattrs"
    path.write_bytes(b"see its attributes")
    os.setxattr(path, "user.comment", b"as it was")
    os.setxattr(path, "user.binary", bytes(range(256)))
    os.setxattr(root / "elsewhere", "user.of-a-directory", b"1")


def _make_acl(root: Path) -> None:
    path = root / "with an ACL"
    path.write_bytes(b"one more may read")
    set_acl(path, 4)


def _make_owned(root: Path) -> None:
    path = root / "another's"
    path.write_bytes(b"not mine")
    try:
        os.chown(path, 12345, 54321)
    except OSError:
        path.unlink()
        raise


def _make_device(root: Path) -> None:
    os.mknod(root / "device", stat.S_IFCHR | 0o620, os.makedev(1, 3))
