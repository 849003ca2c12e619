# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a refusal by this host means for a restore: one entry left out, or the end of it."""

from __future__ import annotations

import errno
import os

from papi_backup.model.errors import TransferError

_STOPS_ALL = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EIO,
        errno.ENODEV,
        errno.ENXIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ESTALE,
    }
)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def stops_all(error: OSError) -> bool:
    """Return whether going on with other entries is pointless."""
    return error.errno in _STOPS_ALL


def reason_of(error: OSError) -> str:
    """Return "Permission denied (EACCES)"."""
    symbol = errno.errorcode.get(error.errno or 0, "")
    text = os.strerror(error.errno) if error.errno else str(error)
    return f"{text} ({symbol})" if symbol else text


def target_failed(where: str, error: OSError, needed: int) -> TransferError:
    """Return the error that ends a restore whose target failed; ``needed`` is its content in bytes."""
    text = f"The restore stopped at {where}: {reason_of(error)}."
    if error.errno in _FULL:
        text += (
            f" The files to restore hold {needed:,} bytes; free space or choose another target_dir."
            " What was complete is in its place, nothing that was there before is damaged."
        )
    return TransferError(text)
