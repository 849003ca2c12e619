# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of the new list whose contents may still be on their way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from papi_backup.engine.backup.directories import Directory
from papi_backup.engine.backup.previous import PreviousRow
from papi_backup.engine.backup.readings import ReadFile
from papi_backup.engine.format.entries import Entry


class Identity(NamedTuple):
    """What tells a file of the walk from another that got its name, or its inode number, later."""

    inode: int
    ctime_ns: int
    mtime_ns: int
    size: int


def identity_in(file: ReadFile) -> Identity | None:
    """Return the identity of what was read; None when nothing was."""
    facts = file.facts
    return Identity(facts.inode, facts.ctime_ns, facts.mtime_ns, facts.size) if facts else None


@dataclass(slots=True)
class Content:
    """The content of one name on its way.

    ``place`` is the directory in which the walk found it.  ``below`` are the rows of what was found under the
    name when it was looked at once more, because it had become a directory: they stand in its stead.
    ``identity`` and ``link_group`` are of a file with several names.  ``others`` are further names of
    the same file: what is read by this name is theirs too, if it is still what the walk found.
    """

    path: bytes
    place: Directory
    identity: Identity | None = None
    link_group: str = ""
    result: ReadFile | None = None
    others: list[Content] = field(default_factory=list)
    below: list[Row] = field(default_factory=list)

    def is_read(self) -> bool:
        """Return whether the result is of the very file, unchanged, that the walk found."""
        return self.result is not None and identity_in(self.result) == self.identity


class Row(NamedTuple):
    """A fresh row of the new list: a file, whose content is on its way, or an entry of another kind."""

    path: bytes
    previous: PreviousRow | None = None
    entry: Entry | None = None
    content: Content | None = None
