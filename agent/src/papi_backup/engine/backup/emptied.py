# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources that are empty and were not: most likely a file system is not mounted.

A backup without them would pass for one, and in time replace those that have their files.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from papi_backup.engine.format import FormatError
from papi_backup.engine.format.entries import FILE, walk_key
from papi_backup.engine.opened import OpenedBackup, PageReader, SegmentCache
from papi_backup.engine.storage.protocol import Storage
from papi_backup.model.errors import CorruptedBackupError, InvalidParameterError


def empty_among(sources: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the sources (relative to ``/``) that are directories without anything in them."""
    return tuple(source for source in sources if _is_empty(source))


def _is_empty(source: bytes) -> bool:
    try:
        with os.scandir(b"/" + source) as entries:
            return next(entries, None) is None
    except OSError:
        return False  # no directory, or one whose trouble the walk tells


def refuse_emptied(
    sources: Sequence[bytes], storage: Storage, before: OpenedBackup, cache: SegmentCache | None
) -> None:
    """Raise :class:`InvalidParameterError` (``paths``) if an empty source has files in the backup before.

    Raises what the storage raises; a list that is damaged proves nothing.
    """
    try:
        emptied = _with_files(sources, PageReader(storage, before, cache))
    except (CorruptedBackupError, FormatError):
        return
    if emptied:
        named = ", ".join(repr(os.fsdecode(b"/" + source)) for source in emptied)
        raise InvalidParameterError(
            f"Empty, while the backup of {before.entry.date:%Y-%m-%d %H:%M:%S} UTC has files there: {named}. "
            "Perhaps a file system is not mounted. What is meant to be empty has to have one file in it, "
            "whatever its name, or be taken out of 'paths'.",
            "paths",
        )


def _with_files(sources: Sequence[bytes], reader: PageReader) -> list[bytes]:
    """Return the sources, which are in walk order, that have a file below them in a list."""
    found: list[bytes] = []
    wanted = list(sources)
    for _page, leaf in reader.leaves():
        while wanted and walk_key(leaf.paths[-1]) > walk_key(wanted[0]):
            below = wanted[0] + b"/" if wanted[0] else b""
            files = (path for path, kind in zip(leaf.paths, leaf.types, strict=True) if kind == FILE)
            if any(path.startswith(below) for path in files):
                found.append(wanted.pop(0))
            elif leaf.paths[-1].startswith(below):
                break  # what lies below it goes on in the next page
            else:
                wanted.pop(0)
        if not wanted:
            break
    return found
