# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory storage whose reads do something first: die, hang, fail."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from papi_backup.engine.storage.directory import DirectoryStorage
from papi_backup.engine.storage.protocol import Storage

BeforeRead = Callable[[str, int], None]
"""Called with the object's name and how many objects this storage has read before."""


class InterposedStorage(DirectoryStorage):
    """Calls ``before`` ahead of every read."""

    def __init__(self, root: Path, before: BeforeRead) -> None:
        super().__init__(root)
        self._before = before
        self._reads = 0

    def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        self._before(name, self._reads)
        self._reads += 1
        return super().get(name, offset, length)


@dataclass(frozen=True)
class InterposingOpener:
    """Opens interposed storages; in helpers only, if so wished."""

    root: Path
    before: BeforeRead
    helpers_only: bool = False
    job: int = field(default_factory=os.getpid)

    def __call__(self) -> Storage:
        if self.helpers_only and os.getpid() == self.job:
            return DirectoryStorage(self.root)
        return InterposedStorage(self.root, self.before)


def die_at_content(name: str, reads: int) -> None:
    """End this process without a word when it has written some content and reads more."""
    if "/d/" in name and reads > 20:
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class HangAtContent:
    """Never comes back from reading content; ``told`` is there as soon as it hangs."""

    told: Path

    def __call__(self, name: str, reads: int) -> None:
        if "/d/" in name and reads > 2:
            self.told.touch()
            time.sleep(600)
