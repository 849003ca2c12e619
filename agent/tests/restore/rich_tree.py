# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree with one of everything that must come back."""

from __future__ import annotations

import os
import random
import stat
import struct
from pathlib import Path

_ACL_HEADER = struct.pack("<I", 2)
_USER_OBJ, _USER, _GROUP_OBJ, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x10, 0x20
_NOBODY = 65534
LONG = "n" * 200


def acl(uid: int) -> bytes:
    """Return a POSIX ACL that lets one more user read."""
    entries = ((_USER_OBJ, 6, -1), (_USER, 4, uid), (_GROUP_OBJ, 4, -1), (_MASK, 4, -1), (_OTHER, 0, -1))
    return _ACL_HEADER + b"".join(
        struct.pack("<HHI", tag, permissions, who & 0xFFFFFFFF) for tag, permissions, who in entries
    )


def grow_rich_tree(root: Path, seed: int = 1) -> None:
    """Fill ``root``; needs the rights to make devices and to give files away."""
    noise = random.Random(seed)
    contents(root, noise)
    links(root)
    metadata(root)
    for number, path in enumerate(sorted(root.rglob("*"), key=lambda path: -len(path.parts))):
        os.utime(path, ns=(number, 1_600_000_000_123_456_789 + number), follow_symlinks=False)
    os.utime(root / "times" / "before-1970", ns=(0, -1_234_567_890_123_456_789))
    os.utime(root / "times" / "after-2038", ns=(0, 4_000_000_000_999_999_999))
    os.utime(root / "times", ns=(0, 1_500_000_000_000_000_001))


def contents(root: Path, noise: random.Random) -> None:
    """Files of all sizes, names and depths."""
    (root / "sizes").mkdir()
    for size in (0, 1, 15, 16, 4095, 65536, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5 << 20):
        (root / "sizes" / str(size)).write_bytes(noise.randbytes(size))
    (root / "text").write_text("the same line again and again\n" * 50_000)
    (root / "twin").write_text("the same line again and again\n" * 50_000)
    (root / "small").mkdir()
    for number in range(600):
        (root / "small" / f"{number:03}").write_bytes(noise.randbytes(number))
    (root / "empty-directory").mkdir()
    (root / "a").mkdir()
    (root / "a" / "b").write_bytes(b"walk order: a/b before a-b")
    (root / "a-b").write_bytes(b"plain byte order would put me first")
    with open(os.fsencode(root) + b"/not-utf-8-\xff\xfe", "wb") as file:
        file.write(b"bytes")
    (root / "new\nline and 'quotes' and \\").write_bytes(b"odd")
    (root / ("l" * 255)).write_bytes(b"longest name")
    deep = root
    for _level in range(15):
        deep /= LONG
        deep.mkdir()
    (deep / "deep").write_bytes(b"deep down")
    with (root / "sparse").open("wb") as file:
        file.seek(3 << 20)
        file.write(b"an island")
        file.seek(9 << 20)
        file.write(b"another")
        file.truncate(20 << 20)
    with (root / "only-a-hole").open("wb") as file:
        file.truncate(64 << 20)


def links(root: Path) -> None:
    """Symbolic links to anything, and hard links near and far."""
    (root / "link").symlink_to("text")
    (root / "dangling").symlink_to("/nowhere/at/all")
    (root / "upwards").symlink_to("../../../../../etc")
    (root / "to-directory").symlink_to("small")
    (root / "linked").mkdir()
    (root / "linked" / "first").write_bytes(b"one file, three names" * 1000)
    os.link(root / "linked" / "first", root / "linked" / "second")
    os.link(root / "linked" / "first", root / "zz-third")
    os.link(root / "link", root / "linked" / "same-symbolic-link", follow_symlinks=False)


def metadata(root: Path) -> None:
    """Modes, owners, attributes, special files, odd times."""
    modes = root / "modes"
    modes.mkdir()
    for mode in (0o000, 0o400, 0o644, 0o755, 0o4755, 0o2711, 0o6777, 0o1644):
        (modes / f"{mode:04o}").write_bytes(b"mode")
        (modes / f"{mode:04o}").chmod(mode)
    for mode in (0o000, 0o500, 0o1777, 0o2775):
        (modes / f"d{mode:04o}").mkdir()
        (modes / f"d{mode:04o}" / "inside").write_bytes(b"x")
        (modes / f"d{mode:04o}").chmod(mode)
    owned = root / "owned"
    owned.mkdir()
    (owned / "setuid").write_bytes(b"owner first, mode last")
    os.chown(owned / "setuid", 1, 2)
    (owned / "setuid").chmod(0o6755)
    (owned / "unknown").write_bytes(b"no such user")
    os.chown(owned / "unknown", 54321, 54322)
    (owned / "link").symlink_to("x")
    os.chown(owned / "link", 3, 4, follow_symlinks=False)
    os.chown(owned, _NOBODY, _NOBODY)
    attributes = root / "attributes"
    attributes.mkdir()
    (attributes / "user").write_bytes(b"")
    os.setxattr(attributes / "user", "user.empty", b"")
    os.setxattr(attributes / "user", "user.binary", bytes(range(256)))
    (attributes / "read-only").write_bytes(b"")
    os.setxattr(attributes / "read-only", "user.kept", b"value")
    (attributes / "read-only").chmod(0o400)
    (attributes / "acl").write_bytes(b"")
    os.setxattr(attributes / "acl", "system.posix_acl_access", acl(_NOBODY))
    (attributes / "with-default-acl").mkdir()
    (attributes / "with-default-acl" / "plain").write_bytes(b"made before the default ACL")
    os.setxattr(attributes / "with-default-acl", "system.posix_acl_default", acl(_NOBODY))
    os.setxattr(attributes, "user.directory", b"too")
    (root / "capable").write_bytes(b"")
    os.setxattr(root / "capable", "security.capability", struct.pack("<IIIII", 0x02000001, 0x400, 0, 0, 0))
    special = root / "special"
    special.mkdir()
    os.mkfifo(special / "fifo", 0o640)
    os.mknod(special / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    (special / "null").chmod(0o622)
    os.mknod(special / "loop", stat.S_IFBLK | 0o660, os.makedev(7, 200))
    (root / "times").mkdir()
    (root / "times" / "before-1970").write_bytes(b"")
    (root / "times" / "after-2038").write_bytes(b"")
