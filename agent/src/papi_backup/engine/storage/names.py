# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every storage demands of an object's name before it becomes a path or a key."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

TEMPORARY = "tmp"
"""Directory below the base for objects on their way; never listed (docs/design.md, "Names on a storage")."""


def checked_name(name: str) -> str:
    """Return ``name`` if it is safe to join to a base.

    Raises ``ValueError`` otherwise: names are escaped by ``format.names`` and verified before they
    arrive here, so a bad one is a programming error, and it must not reach outside the base.
    """
    parts = name.split("/")
    if any(part in {"", ".", ".."} for part in parts) or "\0" in name or parts[0] == TEMPORARY:
        raise ValueError(f"unsafe object name: {name!r}")
    return name


def checked_prefix(prefix: str) -> str:
    """Return ``prefix`` if it is empty or a safe name followed by one ``/``; else ``ValueError``."""
    if prefix:
        if not prefix.endswith("/"):
            raise ValueError(f"a prefix ends in a slash: {prefix!r}")
        checked_name(prefix[:-1])
    return prefix


def ancestors(name: str) -> Iterator[str]:
    """Yield the directories that hold ``name``, innermost first, without the base itself."""
    end = name.rfind("/")
    while end > 0:
        yield name[:end]
        end = name.rfind("/", 0, end)


def temporary_name() -> str:
    """Return a fresh name below the directory for objects on their way."""
    return f"{TEMPORARY}/{secrets.token_hex(16)}"
