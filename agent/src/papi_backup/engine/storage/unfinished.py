# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects that were begun and not finished, on storages that keep them where they can be seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from papi_backup.engine.storage.protocol import ObjectInfo, Storage


@runtime_checkable
class ShowsUnfinished(Protocol):
    """A storage whose objects on their way have names.  On S3 they are parts of uploads, in no listing."""

    def unfinished(self) -> Sequence[ObjectInfo]:
        """Return them, whichever job they are of; raises what a listing does."""


def unfinished_of(storage: Storage) -> Sequence[ObjectInfo]:
    """Return the objects on their way; none where the storage does not show them."""
    return storage.unfinished() if isinstance(storage, ShowsUnfinished) else ()
