# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who does the shares: this process alone, or several helper processes (see ``helpers.py``)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Protocol

from papi_backup.engine.restore.share import Share, ShareResult, WorkPlan
from papi_backup.engine.restore.worker import Told, Worker
from papi_backup.engine.storage.protocol import Storage


class Claims:
    """Who writes which link group: the first who asks, under the path it names."""

    def __init__(self) -> None:
        self.first: dict[str, bytes] = {}

    def claim(self, group: str, path: bytes) -> bool:
        """Return whether the group is the caller's."""
        return self.first.setdefault(group, path) == path

    def release(self, group: str) -> None:
        """Let another name be the first: the one that was could not be put in its place."""
        self.first.pop(group, None)


class Crew(Protocol):
    """Restores shares in no promised order."""

    def run(
        self, plan: WorkPlan, shares: Iterable[Share], claims: Claims, told: Told
    ) -> Iterator[ShareResult]:
        """Yield what came of each share.  Raises PapiError where the restore must end."""


class Alone:
    """Does everything in this process, over a storage that is already open."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def run(
        self, plan: WorkPlan, shares: Iterable[Share], claims: Claims, told: Told
    ) -> Iterator[ShareResult]:
        """See :class:`Crew`."""
        worker = Worker(plan, self._storage, claims.claim, told)
        waiting = deque(shares)
        try:
            while waiting:
                result = worker.run(waiting.popleft())
                waiting.extendleft(result.large)
                yield result
        except BaseException:
            worker.close(wait=False)
            raise
        worker.close()
