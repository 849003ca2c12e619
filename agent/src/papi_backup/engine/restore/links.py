# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hard links: the first name of a file is written, the others are linked to it.

Who is first is asked of the restore's main process, once for each group and process.  A name whose
first is still on its way, or is another process's, is linked later.
"""

from __future__ import annotations

from collections.abc import Callable

from papi_backup.engine.format.entries import Entry
from papi_backup.engine.restore.index import Leaf
from papi_backup.engine.restore.share import Head, PendingLink, ShareResult
from papi_backup.host_paths import Identity

Claim = Callable[[str, bytes], bool]
"""Asks to be the writer of a link group, by the path given; True for the first who asks."""


class Links:
    """One process's view of the link groups."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._first: dict[str, bytes] = {}
        self._heads: dict[str, Head] = {}

    def is_first(self, entry: Entry, leaf: Leaf, row: int, result: ShareResult) -> bool:
        """Return whether this name's content must be written; if not, it waits in ``result.links``."""
        group = entry.links
        if group not in self._first and self._claim(group, entry.path):
            self._first[group] = entry.path
            return True
        result.links.append(PendingLink(group, entry.path, leaf, row))
        return False

    def done(self, entry: Entry, identity: Identity | None, result: ShareResult) -> None:
        """Note that a first name is in its place, and what it is the name of; None for an only name."""
        if identity is not None:
            self._heads[entry.links] = result.heads[entry.links] = Head(entry.path, identity)

    def failed(self, entry: Entry, result: ShareResult, damage: str = "") -> None:
        """Note that a first name could not be put in its place: nobody must link to what is there.

        ``damage`` is what is wrong with the backup; where it is this host that refused, another name
        of the group may still do.
        """
        if entry.links:
            result.failed_groups[entry.links] = damage
            self._first.pop(entry.links, None)

    def settled(self, result: ShareResult) -> list[tuple[PendingLink, Head]]:
        """Take the links out of ``result`` whose first name this process has put in its place."""
        ready = [link for link in result.links if link.group in self._heads]
        result.links = [link for link in result.links if link.group not in self._heads]
        return [(link, self._heads[link.group]) for link in ready]
