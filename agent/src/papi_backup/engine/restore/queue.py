# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which process does which share: neighbours stay together, and nobody waits while there is work.

Files that were saved one after the other lie in the same segments, also across the border of two shares.
A process that goes on with the next share finds them in its cache; another would fetch them again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from papi_backup.engine.restore.share import Share


class ShareQueue:
    """The shares of one restore, for a number of processes."""

    def __init__(self, shares: Sequence[Share], processes: int) -> None:
        each = -(-len(shares) // processes)
        self._own = [deque(shares[each * at : each * (at + 1)]) for at in range(processes)]
        self._urgent: deque[Share] = deque()

    def put_first(self, shares: Iterable[Share]) -> None:
        """Add shares that whoever is free next takes, in their order: the large files, which take long."""
        self._urgent.extendleft(reversed(list(shares)))

    def take(self, process: int) -> Share | None:
        """Return the next share of a process, None when all are taken.

        Its own come in walk order.  Who has none left gets the later half of what the busiest still has.
        """
        if self._urgent:
            return self._urgent.popleft()
        own = self._own[process]
        if not own:
            busiest = max(self._own, key=len)
            own.extendleft([busiest.pop() for _turn in range(-(-len(busiest) // 2))])
        return own.popleft() if own else None
