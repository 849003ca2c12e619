# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is already where a restore would write, found out without making anything."""

from __future__ import annotations

import os
from collections import OrderedDict

from papi_backup.engine.restore.target import Destination
from papi_backup.engine.restore.tree import BlockedError, Found, Place, ProtectedError, split, why_it_stays

_KEPT_OPEN = 64

_Directory = Place | BlockedError | None
"""An open directory, why there will be none, or None: there is none yet."""


class Existing:
    """Looks entries up below a target.  Use as a context manager."""

    def __init__(self, destination: Destination) -> None:
        self._target = destination.target
        self._open: OrderedDict[bytes, _Directory] = OrderedDict()
        root = destination.root
        self._root: _Directory = None if root is None else Place(os.dup(root), fresh=False, inherits=False)

    def __enter__(self) -> Existing:
        return self

    def __exit__(self, *unused: object) -> None:
        for place in (*self._open.values(), self._root):
            _close(place)
        self._open.clear()

    def find(self, path: bytes) -> Found | None:
        """Return what is at an entry's place; None for nothing, the target itself is found as ``.``.

        Raises BlockedError where something that is no directory is above it and stays there.
        """
        directory, name = split(path) if path else (b"", b".")
        place = self._directory(directory)
        if isinstance(place, BlockedError):
            raise place
        if place is None:
            return None
        try:
            return Found(place, name, os.lstat(name, dir_fd=place.descriptor))
        except OSError:
            return None

    def _directory(self, path: bytes) -> _Directory:
        if not path:
            return self._root
        missing = []
        while path and path not in self._open:
            missing.append(path)
            path = path.rpartition(b"/")[0]
        place = self._open[path] if path else self._root
        for step in reversed(missing):
            place = self._child(place, step)
            self._open[step] = place
            while len(self._open) > _KEPT_OPEN:
                _unused, oldest = self._open.popitem(last=False)
                _close(oldest)
        return place

    def _child(self, parent: _Directory, path: bytes) -> _Directory:
        if not isinstance(parent, Place):
            return parent
        name = split(path)[1]
        try:
            descriptor = self._target.open_directory(name, parent.descriptor)
            return Place(descriptor, fresh=False, inherits=False)
        except ProtectedError as error:
            return error
        except OSError:
            pass
        try:
            status = os.lstat(name, dir_fd=parent.descriptor)
        except OSError:
            return None
        reason = why_it_stays(self._target, parent, name, path, status)
        return BlockedError(reason) if reason else None


def _close(place: _Directory) -> None:
    if isinstance(place, Place):
        os.close(place.descriptor)
