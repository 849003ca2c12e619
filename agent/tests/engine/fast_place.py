# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where tests that restore thousands of trees put them: in memory, where that keeps all metadata."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")


def fast_directory() -> Path:
    """Make a new directory, in memory if files there have extended attributes (Linux 6.6), else on disk."""
    if os.access(_MEMORY, os.W_OK):
        place = Path(tempfile.mkdtemp(dir=_MEMORY))
        try:
            os.setxattr(place, "user.probe", b"")
            os.removexattr(place, "user.probe")
        except OSError:
            place.rmdir()
        else:
            return place
    return Path(os.path.realpath(tempfile.mkdtemp()))
