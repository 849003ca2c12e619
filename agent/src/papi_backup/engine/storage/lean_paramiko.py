# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""paramiko, without what it needs for ``Match exec`` in ``~/.ssh/config`` alone.

paramiko takes invoke as optional, and reads such files only when it is asked to, which is never here.
invoke imports asyncio, YAML and ``unittest.mock``: half the time that importing paramiko takes.
"""

from __future__ import annotations

import sys

_ABSENT = "invoke" not in sys.modules
if _ABSENT:
    # The language reference ("The module cache") has None stand for "not found"; its type stubs have not.
    sys.modules["invoke"] = None  # type: ignore[assignment]
try:
    import paramiko
finally:
    if _ABSENT:
        del sys.modules["invoke"]

__all__ = ["paramiko"]
