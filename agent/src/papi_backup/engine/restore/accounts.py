# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose number a restored file gets: by name where this host knows the name, else by number.

A host's uids differ from another's, names rarely: tar run as root takes names, too.  A whole system that is
restored from a rescue system wants its own numbers, as restic gives always and tar with ``--numeric-owner``.
An entry without names (the source host knew none) keeps its numbers.
"""

from __future__ import annotations

import grp
import pwd
from collections.abc import Callable

from papi_backup.engine.format.entries import Owner


class OwnerNumbers:
    """Resolves owners to (uid, gid), each once."""

    def __init__(
        self,
        user: Callable[[str], int] = lambda name: pwd.getpwnam(name).pw_uid,
        group: Callable[[str], int] = lambda name: grp.getgrnam(name).gr_gid,
        *,
        numeric: bool = False,
    ) -> None:
        """``numeric``: every owner keeps its numbers."""
        self._numeric = numeric
        self._user = user
        self._group = group
        self._known: dict[Owner, tuple[int, int]] = {}

    def of(self, owner: Owner) -> tuple[int, int]:
        """Return the numbers an owner has on this host."""
        if self._numeric:
            return owner.uid, owner.gid
        numbers = self._known.get(owner)
        if numbers is None:
            numbers = (
                _number(self._user, owner.user, owner.uid),
                _number(self._group, owner.group, owner.gid),
            )
            self._known[owner] = numbers
        return numbers

    def moved(self, owner: Owner) -> str:
        """Return which of an owner's names have another number here than in the backup; "" if none."""
        uid, gid = self.of(owner)
        told = []
        if uid != owner.uid:
            told.append(f"user {owner.user} is {uid} here and {owner.uid} in the backup")
        if gid != owner.gid:
            told.append(f"group {owner.group} is {gid} here and {owner.gid} in the backup")
        return ", ".join(told)


def _number(look_up: Callable[[str], int], name: str, number: int) -> int:
    if name:
        try:
            return look_up(name)
        except (KeyError, ValueError, UnicodeError):
            return number
    return number
