# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Format version 1: pure conversions between bytes and objects (docs/format.md).

No I/O, no clock and no randomness of its own: whatever varies is handed in.
"""

from __future__ import annotations


class FormatError(ValueError):
    """Bytes from a storage are not what format version 1 allows there; the caller knows the object."""


class UnsupportedError(FormatError):
    """Bytes of a later version, or that need a feature this one does not have: no damage."""
