# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a file on disk already has the content of a backup, by chunk ids: never by size and date."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable

from papi_backup.engine.crypto import ChainKeys
from papi_backup.engine.format.references import Item

_PIECE = 1 << 20


def same_content(descriptor: int, items: Iterable[Item], keys: ChainKeys) -> bool:
    """Return whether an open file consists of exactly these items.  Raises OSError."""
    position = 0
    for item in items:
        if item.segment is None:
            if not _is_zero(descriptor, position, position + item.length):
                return False
        else:
            data = _read(descriptor, position, item.length)
            if len(data) != item.length or keys.chunk_id_of(data) != item.chunk_id:
                return False
        position += item.length
    return os.fstat(descriptor).st_size == position


def _read(descriptor: int, position: int, length: int) -> bytes:
    data = os.pread(descriptor, length, position)
    while 0 < len(data) < length:
        more = os.pread(descriptor, length - len(data), position + len(data))
        if not more:
            break
        data += more
    return data


def _is_zero(descriptor: int, position: int, end: int) -> bool:
    """Return whether a range is zero bytes; holes are passed over without reading them."""
    while position < end:
        try:
            position = os.lseek(descriptor, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return True  # nothing but a hole up to the end
            raise
        piece = _read(descriptor, position, min(_PIECE, end - position)) if position < end else b""
        if piece.strip(b"\0"):
            return False
        position += max(len(piece), 1)
    return True
