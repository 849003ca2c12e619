# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the sources of a backup are there and can be read (spec: test_backup_config)."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence

from papi_backup.model.errors import InvalidParameterError


def check_sources(backup_name: str, paths: Sequence[str]) -> str:
    """Look into each source, not below it, and return a word on what was found.

    Raises :class:`InvalidParameterError` (``paths``), naming all that are missing or cannot be read.
    """
    failures = [(path, _failure(os.fsencode(path))) for path in paths]
    missing = [repr(path) for path, why in failures if why == ""]
    unreadable = [f"{path!r} ({why})" for path, why in failures if why]
    if missing:
        text = f"Backup {backup_name!r}: its 'paths' do not all exist: {', '.join(missing)}."
        raise InvalidParameterError(text, "paths")
    if unreadable:
        text = f"Backup {backup_name!r}: its 'paths' cannot all be read: {', '.join(unreadable)}."
        raise InvalidParameterError(text, "paths")
    return f"{len(paths)} can be read"


def _failure(path: bytes) -> str | None:
    """Return why a source cannot be read, "" for one that is not there, None for one that can."""
    try:
        _look(path)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        return error.strerror or str(error)
    return None


def _look(path: bytes) -> None:
    """Read the beginning of a file or directory; what else there is has no content to read."""
    kind = stat.S_IFMT(os.lstat(path).st_mode)
    readers: dict[int, Callable[[bytes], None]] = {stat.S_IFDIR: _read_directory, stat.S_IFREG: _read_file}
    if kind in readers:
        readers[kind](path)


def _read_directory(path: bytes) -> None:
    with os.scandir(path) as entries:
        next(entries, None)


def _read_file(path: bytes) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.read(descriptor, 1)
    finally:
        os.close(descriptor)
