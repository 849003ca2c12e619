# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One question at a time to each server, so that one that hangs holds one query process and no more."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class NoTurnError(Exception):
    """The question before has no answer yet."""


class Turns:
    """Who may ask which server.  May be used by many threads at once."""

    def __init__(self, patience: float) -> None:
        """``patience`` in seconds: who holds a turn for longer is not waited for any more."""
        self._patience = patience
        self._since: dict[str, float] = {}
        self._changed = threading.Condition()

    @contextmanager
    def of(self, server: str, deadline: float) -> Iterator[None]:
        """Hold the turn; raises :class:`NoTurnError` at ``deadline`` (:func:`time.monotonic`) or before."""
        with self._changed:
            while (held := self._since.get(server)) is not None:
                rest = min(deadline, held + self._patience) - time.monotonic()
                if rest <= 0:
                    raise NoTurnError
                self._changed.wait(rest)
            self._since[server] = time.monotonic()
        try:
            yield
        finally:
            with self._changed:
                del self._since[server]
                self._changed.notify_all()
