# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns of paths, to exclude or to include, as users of gitignore and restic know them (docs/sources.md).

* ``*.tmp``: without ``/``, matches a name at any depth.
* ``/srv/cache/**``: with a leading ``/``, matches the whole path; ``**`` spans directories.
* ``cache/old``: with ``/`` inside, matches the end of a path at any depth.
* ``build/``: with a trailing ``/``, matches directories only.

``*``, ``?`` and ``[…]`` never match ``/``.  An excluded directory is not entered.

Matching takes time in proportion to the path, however many stars a pattern has: what follows a star, but for
the last one, is sought once and kept where it is found first.  Any later place would only leave less for the
rest of the pattern.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from papi_backup.model.errors import InvalidParameterError


class Excludes:
    """Compiled patterns; paths are bytes relative to ``/``, without leading slash."""

    def __init__(self, patterns: Iterable[bytes]) -> None:
        anything: list[bytes] = []
        directories: list[bytes] = []
        for pattern in patterns:
            if not pattern.strip(b"/"):
                raise InvalidParameterError(f"The exclude pattern {pattern!r} matches nothing.", "excludes")
            (directories if pattern.endswith(b"/") else anything).append(_translate(pattern.rstrip(b"/")))
        self._anything = _compile(anything)
        self._directories = _compile(directories)

    @property
    def is_empty(self) -> bool:
        """Whether there is no pattern: then nothing need be matched."""
        return self._anything is None and self._directories is None

    def match(self, path: bytes, *, directory: bool) -> bool:
        """Return whether ``path`` is left out."""
        if self._anything is not None and self._anything.fullmatch(path):
            return True
        return directory and self._directories is not None and self._directories.fullmatch(path) is not None


def _compile(expressions: list[bytes]) -> re.Pattern[bytes] | None:
    return re.compile(b"|".join(expressions), re.DOTALL) if expressions else None


def _translate(pattern: bytes) -> bytes:
    """Return an expression for whole paths; the names of a pattern stand in groups between its ``**``."""
    groups: list[list[bytes]] = [[]] if pattern.startswith(b"/") else [[], []]
    for part in filter(None, pattern.split(b"/")):
        if part != b"**":
            groups[-1].append(_component(part))
        elif groups[-1] or len(groups) == 1:
            groups.append([])
    first, *others = (b"/".join(group) for group in groups)
    if not others:
        return first
    *sought, last = others
    expression = first + b"/" if first else b""
    expression += b"".join(rb"(?>(?:.*?/)??" + group + b"/)" for group in sought)
    return expression + (rb"(?:.*/)?" + last if last else rb".+")


def _component(part: bytes) -> bytes:
    first, *others = _between_stars(part)
    if not others:
        return first
    *sought, last = others
    return first + b"".join(rb"(?>[^/]*?" + piece + b")" for piece in sought if piece) + rb"[^/]*" + last


def _between_stars(part: bytes) -> list[bytes]:
    """Return an expression for each piece of a name that stands before, between and behind its stars."""
    pieces = [b""]
    position = 0
    while position < len(part):
        character = part[position : position + 1]
        position += 1
        if character == b"*":
            pieces.append(b"")
        elif character == b"?":
            pieces[-1] += rb"[^/]"
        elif character == b"[":
            # A "]" that comes first, also behind a negation, is a member and not the end.
            first = position + (part[position : position + 1] in (b"!", b"^"))
            end = part.find(b"]", first + 1)
            if end < 0:
                pieces[-1] += rb"\["
                continue
            pieces[-1] += _character_set(part[first:end], negated=first > position)
            position = end + 1
        else:
            pieces[-1] += re.escape(character)
    return pieces


def _character_set(members: bytes, *, negated: bool) -> bytes:
    body = b""
    position = 0
    while position < len(members):
        low = high = members[position]
        if members[position + 1 : position + 2] == b"-" and position + 2 < len(members):
            high = members[position + 2]
            position += 2
        if high < low:
            text = os.fsdecode(b"[" + members + b"]")
            raise InvalidParameterError(
                f"The range in the exclude pattern {text!r} runs backwards.", "excludes"
            )
        body += b"\\x%02x-\\x%02x" % (low, high)
        position += 1
    return rb"(?!/)[" + (b"^" if negated else b"") + body + b"]"
