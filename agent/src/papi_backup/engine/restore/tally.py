# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore did and what it could not do, counted in bounded memory and sent between processes."""

from __future__ import annotations

from dataclasses import dataclass, field

from papi_backup.host_paths import shown

FIRST_NAMED = 10
"""Paths named for one cause; the others are counted."""
MOST_CAUSES = 1000
_OTHER = "other causes"


def entries(count: int) -> str:
    """Return "1 entry" or "2,000 entries"."""
    return f"{count:,} {'entry' if count == 1 else 'entries'}"


@dataclass(slots=True)
class Cause:
    """How often something happened, and to which paths first."""

    count: int = 0
    paths: list[bytes] = field(default_factory=list)

    def told(self) -> str:
        """Return "N entries, first: a, b"; without paths the count alone."""
        named = ", ".join("/" + shown(path) for path in self.paths)
        number = entries(self.count)
        if not named:
            return number
        return f"{number}: {named}" if self.count <= len(self.paths) else f"{number}, first: {named}"


class Causes:
    """Counts by cause; of each the first paths are kept."""

    def __init__(self) -> None:
        self.by_cause: dict[str, Cause] = {}

    def add(self, cause: str, path: bytes | None, count: int = 1) -> None:
        """Count ``path`` under ``cause``; None counts what has no one path."""
        if cause not in self.by_cause and len(self.by_cause) >= MOST_CAUSES:
            cause = _OTHER
        found = self.by_cause.setdefault(cause, Cause())
        found.count += count
        if path is not None and len(found.paths) < FIRST_NAMED:
            found.paths.append(path)

    def merge(self, other: Causes) -> None:
        """Add what another process counted."""
        for cause, counted in other.by_cause.items():
            found = self.by_cause.setdefault(cause, Cause())
            found.count += counted.count
            found.paths.extend(counted.paths[: FIRST_NAMED - len(found.paths)])

    @property
    def total(self) -> int:
        """How much was counted altogether."""
        return sum(cause.count for cause in self.by_cause.values())

    def __bool__(self) -> bool:
        return bool(self.by_cause)


@dataclass(slots=True)
class Tally:
    """Counts of one restore or of one share of it; bytes of content."""

    files: int = 0
    others: int = 0
    kept: int = 0
    changed: int = 0
    """Entries made, replaced, linked, or given other metadata."""
    bytes: int = 0
    transferred: int = 0
    lost: Causes = field(default_factory=Causes)
    """By the damaged object: what could not be restored because of it."""
    failed: Causes = field(default_factory=Causes)
    """By reason: what this host did not let us put in its place."""
    warnings: Causes = field(default_factory=Causes)
    touched: set[str] = field(default_factory=set)
    """Names of the volumes that were read."""

    def merge(self, other: Tally) -> None:
        """Add another share's counts."""
        self.files += other.files
        self.others += other.others
        self.kept += other.kept
        self.changed += other.changed
        self.bytes += other.bytes
        self.transferred += other.transferred
        self.lost.merge(other.lost)
        self.failed.merge(other.failed)
        self.warnings.merge(other.warnings)
        self.touched |= other.touched
