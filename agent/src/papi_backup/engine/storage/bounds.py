# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server may send at most, whatever the transport: a server must not fill this host's memory.

A read is bounded by what was asked for, a listing by its entries, their names and its time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from papi_backup.model.errors import TransferError

MOST_ENTRIES = 500_000
"""Entries of one listing: seven times as many as the largest backup has objects."""
MOST_NAME_BYTES = 64 << 20
"""Characters that the names of one listing have together."""
LISTING_SECONDS = 900.0
"""Seconds that one listing may take."""
LARGEST_WHOLE = 128 << 20
"""Bytes of an object that is read without saying how much of it is wanted."""
EMPTY_ANSWER = 1000
"""Entries for which an answer that brings none counts: such answers have an end, too."""


class ListingBound:
    """Counts what one listing brings."""

    def __init__(self, doing: str, clock: Callable[[], float] = time.monotonic) -> None:
        """``doing`` names the listing and its server for a person."""
        self._doing = doing
        self._clock = clock
        self._end = clock() + LISTING_SECONDS
        self._entries = 0
        self._characters = 0

    def take(self, names: Iterable[str]) -> None:
        """Count the names of one answer.  Raises :class:`TransferError` when it is too much."""
        sizes = [len(name) for name in names]
        self._entries += len(sizes) or EMPTY_ANSWER
        self._characters += sum(sizes)
        if self._entries > MOST_ENTRIES or self._characters > MOST_NAME_BYTES:
            raise TransferError(
                f"{self._doing}: given up after {MOST_ENTRIES} entries or {MOST_NAME_BYTES >> 20} MiB of "
                "names: no storage of backups lists so much"
            )
        if self._clock() > self._end:
            raise TransferError(f"{self._doing}: given up after {LISTING_SECONDS:.0f} s: the list has no end")


def refuse_excess(there: int, asked: int, doing: str) -> None:
    """Raise :class:`TransferError` when a read brought more than the bytes that were asked for."""
    if there > asked:
        raise TransferError(f"{doing}: the server sent more than the {asked} bytes that were asked for")
