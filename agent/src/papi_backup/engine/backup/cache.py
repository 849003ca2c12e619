# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Local copies of index segments, so that an incremental need not fetch the previous list.

Only a cache: every segment is verified against the manifest when it is used, and fetched again
when it is missing, cut, altered or stale (design section 4, "Before an incremental").
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable

from papi_backup.engine.format.names import escape, escape_host
from papi_backup.engine.format.segment import Buffer


class IndexCache:
    """One directory for one storage location, host and backup name."""

    def __init__(self, cache_dir: str, location: str, host_name: str, backup_name: str) -> None:
        place = hashlib.sha256(location.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        self._directory = os.path.join(cache_dir, place, escape_host(host_name), escape(backup_name))

    def load(self, volume: str, offset: int, length: int) -> bytes | None:
        """Return the bytes of a cached segment, or None."""
        try:
            descriptor = os.open(self._path(volume), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            data = os.pread(descriptor, length, offset)
        except OSError:
            return None
        finally:
            os.close(descriptor)
        return data if len(data) == length else None

    def store(self, volume: str, offset: int, sealed: Buffer) -> None:
        """Keep a segment; a full disk costs only time at the next incremental."""
        with contextlib.suppress(OSError):
            os.makedirs(self._directory, mode=0o700, exist_ok=True)
            descriptor = os.open(self._path(volume), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(descriptor, sealed, offset)
            finally:
                os.close(descriptor)

    def keep_only(self, volumes: Iterable[str]) -> None:
        """Delete the copies of all other volumes."""
        wanted = {os.path.basename(self._path(volume)) for volume in volumes}
        with contextlib.suppress(OSError):
            for name in os.listdir(self._directory):
                if name not in wanted:
                    os.unlink(os.path.join(self._directory, name))

    def _path(self, volume: str) -> str:
        chain, backup, kind, _thousand, number = volume.split("/")[-5:]
        return os.path.join(self._directory, f"{chain}-{backup}-{kind}-{number}")
