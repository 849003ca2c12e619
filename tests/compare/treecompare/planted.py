# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proves, before anything is compared, that each kind of change is seen, and only where it was planted."""

from __future__ import annotations

import os
import shutil
import stat
import struct
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from treecompare.differences import Comparison, compare
from treecompare.entries import Tree, read_tree

_INSTANT = 1_700_000_000_123_456_789
_BIG = (1 << 20) + 7
_XATTR = "user.planted"
_ACL = "system.posix_acl_access"


class SelfTestError(AssertionError):
    """A planted change was not reported, or something was reported that is none."""


@dataclass(frozen=True)
class Plant:
    """A change to make in a copy, and where which aspect of it must be reported."""

    title: str
    aspect: str
    names: tuple[bytes, ...]
    make: Callable[[Path], None]


@dataclass
class SelfTest:
    """What was shown: the changes that were reported, and those that could not be planted, with reasons."""

    reported: list[str] = field(default_factory=list)
    not_compared: dict[str, str] = field(default_factory=dict)


def self_test(scratch: str | None = None) -> SelfTest:
    """Plant each change in a fresh copy below ``scratch``; raises :class:`SelfTestError` for one not seen."""
    with tempfile.TemporaryDirectory(prefix="compare-", dir=scratch) as directory:
        return _run(Path(directory))


def _run(directory: Path) -> SelfTest:
    left, right = directory / "left", directory / "right"
    outcome = SelfTest()
    _build(left)
    plants = _possible_plants(left, outcome)
    settled = read_tree(str(left))
    _fresh_copy(left, right, settled)
    _expect("an unchanged copy", compare(str(left), str(right)), set())
    for plant in plants:
        _fresh_copy(left, right, settled)
        plant.make(right)
        if plant.aspect != "mtimes":
            _settle(right, settled)
        _expect(plant.title, compare(str(left), str(right)), {(plant.aspect, name) for name in plant.names})
        outcome.reported.append(plant.title)
    return outcome


def _expect(title: str, found: Comparison, wanted: set[tuple[str, bytes]]) -> None:
    reported = {(one.aspect, one.name) for one in found.differences}
    if reported != wanted:
        raise SelfTestError(f"{title}: expected {sorted(wanted)}, reported {sorted(reported)}")


def _build(root: Path) -> None:
    (root / "directory").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "content").write_bytes(b"some bytes\n" * 9)
    (root / "big").write_bytes(bytes(_BIG))
    (root / "directory" / "mode").write_bytes(b"mode")
    (root / "directory" / "mtime").write_bytes(b"mtime")
    (root / "xattr").write_bytes(b"xattr")
    (root / "acl").write_bytes(b"acl")
    (root / "symlink").symlink_to("content")
    (root / "first").write_bytes(b"linked")
    os.link(root / "first", root / "second")
    (root / "original").write_bytes(b"the same twice")
    (root / "twin").write_bytes(b"the same twice")
    os.mkfifo(root / "fifo")
    _settle(root, read_tree(str(root)), _INSTANT)


def _fresh_copy(left: Path, right: Path, settled: Tree) -> None:
    if right.exists():
        shutil.rmtree(right)
    shutil.copytree(left, right, symlinks=True, ignore=shutil.ignore_patterns("fifo", "second", "device"))
    os.mkfifo(right / "fifo")
    os.link(right / "first", right / "second")
    if b"device" in settled.entries:
        os.mknod(right / "device", stat.S_IFCHR | 0o600, settled.entries[b"device"].device)
    for name, entry in settled.entries.items():
        path = os.path.join(os.fsencode(right), name)
        if entry.kind != "symlink":
            os.chmod(path, entry.mode)
        for attribute, value in (entry.xattrs or {}).items():
            # Inherited labels (security.selinux, say) may be beyond us; they are the same on both sides.
            with suppress(OSError):
                os.setxattr(path, attribute, value, follow_symlinks=False)
    _settle(right, settled)


def _settle(root: Path, tree: Tree, instant: int = 0) -> None:
    """Set all modification times back, deepest first, so that only what was planted differs."""
    for name in sorted(tree.entries, reverse=True):
        path = os.path.join(os.fsencode(root), name)
        if os.path.lexists(path):
            mtime = instant or tree.entries[name].mtime_ns
            os.utime(path, ns=(mtime, mtime), follow_symlinks=False)


def _possible_plants(left: Path, outcome: SelfTest) -> list[Plant]:
    """Return the changes that can be made here; what cannot is noted in ``outcome``."""
    plants = [
        Plant("content", "contents", (b"content",), _change_first_byte),
        Plant("content, one byte at the end of a large file", "contents", (b"big",), _change_last_byte),
        Plant("content, longer by one byte", "contents", (b"content",), _append_byte),
        Plant(
            "mode", "modes", (b"directory/mode",), lambda root: (root / "directory" / "mode").chmod(0o4640)
        ),
        Plant("mode of a directory", "modes", (b"empty",), lambda root: (root / "empty").chmod(0o1700)),
        Plant("link, symbolic, with another target", "symlinks", (b"symlink",), _retarget),
        Plant("link, hard, now a copy", "hard links", (b"second",), _break_hard_link),
        Plant("link, hard, one that was none", "hard links", (b"twin",), _join_twins),
        Plant("missing file", "names", (b"acl",), lambda root: (root / "acl").unlink()),
        Plant("file too many", "names", (b"extra",), lambda root: (root / "extra").touch()),
        Plant("type", "types", (b"fifo",), _replace_fifo),
    ]
    plants += _mtime_plants(left)
    plants += _xattr_plants(left, outcome)
    plants += _root_plants(left, outcome)
    return plants


def _mtime_plants(left: Path) -> list[Plant]:
    kept = read_tree(str(left)).entries[b"content"].mtime_ns
    step = 1 if kept == _INSTANT else 2_000_000_000
    size = "a nanosecond" if step == 1 else "2 s (this file system keeps no nanoseconds)"

    def later(name: str) -> Callable[[Path], None]:
        mtime = kept + step
        return lambda root: os.utime(root / name, ns=(mtime, mtime), follow_symlinks=False)

    names = ("directory/mtime", "empty", "symlink")
    return [Plant(f"mtime of {name} by {size}", "mtimes", (name.encode(),), later(name)) for name in names]


def _xattr_plants(left: Path, outcome: SelfTest) -> list[Plant]:
    plants = []
    try:
        os.setxattr(left / "xattr", _XATTR, b"1")
        plants += [
            Plant("xattr", "xattrs", (b"xattr",), lambda root: os.setxattr(root / "xattr", _XATTR, b"2")),
            Plant(
                "xattr, a missing one",
                "xattrs",
                (b"xattr",),
                lambda root: os.removexattr(root / "xattr", _XATTR),
            ),
        ]
    except OSError as error:
        outcome.not_compared["xattrs"] = f"this file system keeps none ({error.strerror})"
    try:
        os.setxattr(left / "acl", _ACL, _acl_of(os.geteuid() + 1, 4))
        plants.append(
            Plant(
                "xattr, an ACL",
                "xattrs",
                (b"acl",),
                lambda root: os.setxattr(root / "acl", _ACL, _acl_of(os.geteuid() + 1, 6)),
            )
        )
    except OSError as error:
        outcome.not_compared["ACLs"] = f"this file system keeps none ({error.strerror})"
    _settle(left, read_tree(str(left)), _INSTANT)
    return plants


def _acl_of(user: int, permissions: int) -> bytes:
    """Return an access ACL (version 2 of Linux' xattr form) that grants one more user something."""
    anyone = 0xFFFFFFFF
    lines = [
        (0x01, 6, anyone),
        (0x02, permissions, user),
        (0x04, 4, anyone),
        (0x10, 6, anyone),
        (0x20, 4, anyone),
    ]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *line) for line in lines)


def _root_plants(left: Path, outcome: SelfTest) -> list[Plant]:
    if os.geteuid() != 0:
        outcome.not_compared["owners"] = outcome.not_compared["devices"] = "not root"
        return []
    plants = [Plant("owner", "owners", (b"content",), lambda root: os.chown(root / "content", 12345, -1))]
    plants.append(Plant("group", "owners", (b"empty",), lambda root: os.chown(root / "empty", -1, 12345)))
    try:
        os.mknod(left / "device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except OSError as error:
        outcome.not_compared["devices"] = f"none can be made here ({error.strerror})"
        return plants
    _settle(left, read_tree(str(left)), _INSTANT)
    plants.append(Plant("device number", "devices", (b"device",), _renumber_device))
    return plants


def _change_first_byte(root: Path) -> None:
    with (root / "content").open("r+b") as file:
        file.write(b"S")


def _change_last_byte(root: Path) -> None:
    with (root / "big").open("r+b") as file:
        file.seek(_BIG - 1)
        file.write(b"\x01")


def _append_byte(root: Path) -> None:
    with (root / "content").open("ab") as file:
        file.write(b"\x00")


def _retarget(root: Path) -> None:
    (root / "symlink").unlink()
    (root / "symlink").symlink_to("first")


def _break_hard_link(root: Path) -> None:
    (root / "second").unlink()
    shutil.copy2(root / "first", root / "second")


def _join_twins(root: Path) -> None:
    (root / "twin").unlink()
    os.link(root / "original", root / "twin")


def _replace_fifo(root: Path) -> None:
    (root / "fifo").unlink()
    (root / "fifo").touch()


def _renumber_device(root: Path) -> None:
    (root / "device").unlink()
    os.mknod(root / "device", stat.S_IFCHR | 0o600, os.makedev(1, 5))
