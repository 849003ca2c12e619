# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is already where a restore would write, found out without making anything."""

from __future__ import annotations

import os
from collections import OrderedDict

from papi_backup.engine.restore.tree import BlockedError, Found, Place, Target, split

_OPEN_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_KEPT_OPEN = 64


class Existing:
    """Looks entries up below a target.  Use as a context manager."""

    def __init__(self, target: Target) -> None:
        self._open: OrderedDict[bytes, Place | None] = OrderedDict()
        try:
            root = os.open(target.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            self._root: Place | None = None
        else:
            self._root = Place(root, fresh=False, inherits=False)

    def __enter__(self) -> Existing:
        return self

    def __exit__(self, *unused: object) -> None:
        for place in (*self._open.values(), self._root):
            _close(place)
        self._open.clear()

    def find(self, path: bytes) -> Found | None:
        """Return what is at an entry's place; None for nothing.

        Something that is no directory above it counts as nothing here: the entry itself does not exist.
        """
        try:
            directory, name = split(path)
        except BlockedError:
            return None
        place = self._directory(directory)
        if place is None:
            return None
        try:
            return Found(place, name, os.lstat(name, dir_fd=place.descriptor))
        except OSError:
            return None

    def _directory(self, path: bytes) -> Place | None:
        if not path:
            return self._root
        missing = []
        while path and path not in self._open:
            missing.append(path)
            path = path.rpartition(b"/")[0]
        place = self._open[path] if path else self._root
        for step in reversed(missing):
            place = self._open_child(place, step)
        return place

    def _open_child(self, parent: Place | None, path: bytes) -> Place | None:
        place = None
        if parent is not None:
            try:
                descriptor = os.open(split(path)[1], _OPEN_DIRECTORY, dir_fd=parent.descriptor)
                place = Place(descriptor, fresh=False, inherits=False)
            except (OSError, BlockedError):
                place = None
        self._open[path] = place
        while len(self._open) > _KEPT_OPEN:
            _unused, oldest = self._open.popitem(last=False)
            _close(oldest)
        return place


def _close(place: Place | None) -> None:
    if place is not None:
        os.close(place.descriptor)
