# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds where two trees differ, counts what was compared and names what was not."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from dataclasses import dataclass, field

from treecompare.entries import Entry, Tree, read_tree

ASPECTS = (
    "names",
    "types",
    "contents",
    "modes",
    "owners",
    "mtimes",
    "symlinks",
    "hard links",
    "xattrs",
    "devices",
)
"""Everything that is looked at, in the order of reports."""

_BLOCK = 1 << 20
_SHOWN_VALUE = 64
_PRIVILEGED_XATTRS = ("security.", "trusted.")


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same at ``name``; ``left`` and ``right`` are for people."""

    aspect: str
    name: bytes
    left: str
    right: str


@dataclass
class Comparison:
    """What was found.

    ``compared`` counts comparisons by aspect, ``not_compared`` says why one was left out.
    """

    differences: list[Difference] = field(default_factory=list)
    compared: Counter[str] = field(default_factory=Counter)
    not_compared: dict[str, str] = field(default_factory=dict)

    def add(self, aspect: str, name: bytes, left: object, right: object) -> None:
        """Record that ``aspect`` differs at ``name``."""
        self.differences.append(Difference(aspect, name, str(left), str(right)))

    def check(self, aspect: str, name: bytes, left: object, right: object) -> None:
        """Compare two values of ``aspect``."""
        self.compared[aspect] += 1
        if left != right:
            self.add(aspect, name, left, right)

    def result(self, aspect: str) -> str:
        """Return ``identical``, ``different``, ``none there`` or ``not compared`` for one aspect."""
        if any(one.aspect == aspect for one in self.differences):
            return "different"
        if aspect in self.not_compared:
            return "not compared"
        return "identical" if self.compared[aspect] else "none there"


def compare(left_root: str, right_root: str, privileged: bool | None = None) -> Comparison:
    """Compare two trees.

    ``privileged`` tells whether owners, devices and root's xattrs can mean anything; by default, root.
    """
    if privileged is None:
        privileged = os.geteuid() == 0
    return _Comparer(read_tree(left_root), read_tree(right_root), privileged).run()


class _Comparer:
    def __init__(self, left: Tree, right: Tree, privileged: bool) -> None:
        self._left = left
        self._right = right
        self._privileged = privileged
        self._found = Comparison()
        self._unread: list[bytes] = []
        self._hidden_xattrs = 0

    def run(self) -> Comparison:
        """Compare name by name, in order."""
        for name in sorted(self._left.entries.keys() | self._right.entries.keys()):
            self._compare_name(name)
        self._note_what_was_left_out()
        return self._found

    def _compare_name(self, name: bytes) -> None:
        left, right = self._left.entries.get(name), self._right.entries.get(name)
        self._found.compared["names"] += 1
        if left is None or right is None:
            self._compare_presence(name, left, right)
            return
        self._found.check("types", name, left.kind, right.kind)
        if left.kind == right.kind:
            self._compare_entries(name, left, right)

    def _compare_presence(self, name: bytes, left: Entry | None, right: Entry | None) -> None:
        if left is not None and left.is_device and not self._privileged:
            self._found.not_compared["devices"] = "without root no device can be made"
            return
        self._found.add("names", name, *("there" if entry else "missing" for entry in (left, right)))

    def _compare_entries(self, name: bytes, left: Entry, right: Entry) -> None:
        found = self._found
        if left.kind == "symlink":
            found.check("symlinks", name, left.target, right.target)
        else:
            found.check("modes", name, f"{left.mode:04o}", f"{right.mode:04o}")
        if left.kind == "file":
            self._compare_contents(name, left, right)
        if left.is_device:
            found.check("devices", name, _numbers(left.device), _numbers(right.device))
        if self._privileged:
            found.check("owners", name, f"{left.uid}:{left.gid}", f"{right.uid}:{right.gid}")
        found.check("mtimes", name, left.mtime_ns, right.mtime_ns)
        self._compare_links(name)
        self._compare_xattrs(name, left.xattrs, right.xattrs)

    def _compare_contents(self, name: bytes, left: Entry, right: Entry) -> None:
        if left.size != right.size:
            self._found.check("contents", name, f"{left.size} bytes", f"{right.size} bytes")
            return
        try:
            offset = first_difference(self._left.path(name), self._right.path(name))
        except PermissionError:
            self._unread.append(name)
            return
        same = "the bytes that were"
        shown = same if offset < 0 else f"byte {offset} is the first other one"
        self._found.check("contents", name, same, shown)

    def _compare_links(self, name: bytes) -> None:
        left, right = self._left.leaders.get(name, name), self._right.leaders.get(name, name)
        if name in self._left.leaders or name in self._right.leaders:
            self._found.check("hard links", name, _shown(left), _shown(right))

    def _compare_xattrs(
        self, name: bytes, left: dict[str, bytes] | None, right: dict[str, bytes] | None
    ) -> None:
        if left is None or right is None:
            self._found.not_compared["xattrs"] = "a file system keeps none"
            return
        shown_left, shown_right = self._visible(left), self._visible(right)
        for attribute in sorted(shown_left.keys() | shown_right.keys()):
            values = [_value(attribute, shown.get(attribute)) for shown in (shown_left, shown_right)]
            self._found.check("xattrs", name, *values)

    def _visible(self, xattrs: dict[str, bytes]) -> dict[str, bytes]:
        if self._privileged:
            return xattrs
        shown = {key: value for key, value in xattrs.items() if not key.startswith(_PRIVILEGED_XATTRS)}
        self._hidden_xattrs += len(xattrs) - len(shown)
        return shown

    def _note_what_was_left_out(self) -> None:
        notes = self._found.not_compared
        if not self._privileged:
            notes["owners"] = "without root everything belongs to the user"
        if self._hidden_xattrs and "xattrs" not in notes:
            notes["xattrs"] = "the security and trusted ones need root; the others were compared"
        unread = self._unread + self._left.unreadable + self._right.unreadable
        if unread:
            notes["contents"] = f"{len(unread)} may not be read, the first is {_shown(min(unread))}"


def first_difference(left: bytes, right: bytes) -> int:
    """Return the offset of the first byte that differs (to a block's precision at an end), -1 for none."""
    with open(left, "rb") as one, open(right, "rb") as other:
        offset = 0
        while True:
            first, second = one.read(_BLOCK), other.read(_BLOCK)
            if first != second:
                same = next((i for i, pair in enumerate(zip(first, second)) if pair[0] != pair[1]), None)
                return offset + (min(len(first), len(second)) if same is None else same)
            if not first:
                return -1
            offset += len(first)


def _numbers(device: int) -> str:
    return f"{os.major(device)}:{os.minor(device)}"


def _value(attribute: str, value: bytes | None) -> str:
    if value is None:
        return f"no {attribute}"
    text = value.hex() if len(value) <= _SHOWN_VALUE else f"sha256 {hashlib.sha256(value).hexdigest()}"
    return f"{attribute}={text}"


def _shown(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")
