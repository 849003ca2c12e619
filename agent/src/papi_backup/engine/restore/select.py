# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which entries of a file list a restore takes (docs/restoring.md, "What: include").

A pattern is a path or a glob, always of the original place; a leading ``/`` may be left out.  What it
matches is taken with everything below.  ``*``, ``?`` and ``[…]`` stay inside one component, ``**``
spans several; a glob of a single component without any ``/`` (``*.conf``) matches at any depth.  A
name that itself holds ``*``, ``?`` or ``[`` is found literally, too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from papi_backup.engine.format.entries import DIRECTORY, walk_key
from papi_backup.engine.patterns import Excludes
from papi_backup.model.errors import InvalidParameterError, NoSuchEntityError

_GLOB = frozenset(b"*?[")
_REMEMBERED = 4096
"""Directories whose answer is kept."""


class _Pattern:
    """One pattern and whether anything matched it yet."""

    def __init__(self, text: str) -> None:
        self.text = text
        raw = os.fsencode(text)
        parts = [part for part in raw.split(b"/") if part and part != b"."]
        if b".." in parts:
            raise InvalidParameterError(f"The include {text!r} leads upwards with '..'.", "include")
        if b"\0" in raw or not raw:
            raise InvalidParameterError(f"The include {text!r} is not a path.", "include")
        self.literal = b"/".join(parts)
        self.matched = False
        plain = 0
        while plain < len(parts) and not _GLOB.intersection(parts[plain]):
            plain += 1
        self._glob: Excludes | None = None
        anywhere = b"/" not in raw
        if plain < len(parts):
            self._glob = Excludes((b"" if anywhere else b"/") + b"/".join(parts) for unused in (0,))
        self.fixed = b"" if self._glob is not None and anywhere else b"/".join(parts[:plain])
        """Everything it can match is this path, or lies below it."""

    def hits(self, path: bytes) -> bool:
        """Return whether it matches this very path."""
        if path == self.literal or (self._glob is not None and self._glob.match(path, directory=True)):
            self.matched = True
            return True
        return False


class Selector:
    """All the patterns of one restore; without any, everything is selected."""

    def __init__(self, include: Iterable[str]) -> None:
        self._patterns = [_Pattern(text) for text in include]
        self._directories: dict[bytes, bool] = {}

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return not self._patterns

    def selects(self, path: bytes) -> bool:
        """Return whether an entry is restored."""
        if not self._patterns:
            return True
        hit = False
        for pattern in self._patterns:
            hit = pattern.hits(path) or hit
        return hit or (bool(path) and self._selects_directory(path.rpartition(b"/")[0]))

    def _selects_directory(self, path: bytes) -> bool:
        found = self._directories.get(path)
        if found is None:
            if len(self._directories) >= _REMEMBERED:
                self._directories.clear()
            found = any(pattern.hits(prefix) for prefix in _prefixes(path) for pattern in self._patterns)
            self._directories[path] = found
        return found

    def concerns(self, path: bytes, kind: str) -> bool:
        """Return whether an entry is restored or may be a directory above one that is."""
        return self.selects(path) or (
            kind == DIRECTORY and any(_related(path, pattern.fixed) for pattern in self._patterns)
        )

    def may_match(self, first: bytes, following: bytes | None) -> bool:
        """Return whether a page that holds the paths from ``first`` up to (not with) ``following``
        may hold an entry that concerns this restore; None: it is the last page.
        """
        if not self._patterns:
            return True
        low = walk_key(first)
        high = None if following is None else walk_key(following)
        return any(
            _overlaps(low, high, walk_key(pattern.fixed)) or _holds_ancestor(low, high, pattern.fixed)
            for pattern in self._patterns
        )

    def require_all_matched(self) -> None:
        """Raise NoSuchEntityError naming the patterns that matched nothing."""
        unmatched = [pattern.text for pattern in self._patterns if not pattern.matched]
        if unmatched:
            raise NoSuchEntityError(f"Nothing in this backup matches: {', '.join(unmatched)}.")


def _prefixes(path: bytes) -> Iterable[bytes]:
    """Yield the path and every directory above it, the root (b"") included."""
    yield path
    while path:
        path = path.rpartition(b"/")[0]
        yield path


def _related(path: bytes, fixed: bytes) -> bool:
    """Return whether one of the two paths is, or lies below, the other."""
    return not path or not fixed or (path + b"/").startswith(fixed + b"/") or fixed.startswith(path + b"/")


def _overlaps(low: bytes, high: bytes | None, subtree: bytes) -> bool:
    """Return whether [low, high) meets a subtree; keys are walk keys."""
    if not subtree:
        return True
    end = subtree + b"\1"  # "\0" continues a path, so every key of the subtree is smaller
    return low < end and (high is None or high > subtree)


def _holds_ancestor(low: bytes, high: bytes | None, path: bytes) -> bool:
    return any(low <= key and (high is None or key < high) for key in map(walk_key, _prefixes(path)))
