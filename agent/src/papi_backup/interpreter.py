# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Python that the agent runs on: an upgrade of the system may put another in its place."""

from __future__ import annotations

import os
import sys


class Interpreter:
    """Remembers which file runs this process.  Jobs are started with it by name, and need the same one."""

    def __init__(self, executable: str = sys.executable) -> None:
        self._executable = executable
        self._file = os.path.realpath(executable)
        self._was_elsewhere = False

    def has_changed(self) -> bool:
        """Return whether the name leads to another file by now, or to none, and did at the last look too."""
        is_elsewhere = os.path.realpath(self._executable) != self._file or not os.path.exists(self._file)
        before, self._was_elsewhere = self._was_elsewhere, is_elsewhere
        return before and is_elsewhere
