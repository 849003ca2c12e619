# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What went wrong with single files: counted all, the first ones named (docs/sources.md)."""

from __future__ import annotations

import os

_KEPT = 200
_TOLD = 10


class Warnings:
    """Collects warnings of one backup."""

    def __init__(self) -> None:
        self.count = 0
        self.kept: list[str] = []

    def of_path(self, path: bytes, text: str) -> None:
        """Note what happened to a file; ``path`` is relative to ``/``."""
        self.note(f"{os.fsdecode(b'/' + path)!r}: {text}")

    def note(self, text: str) -> None:
        """Note something about the backup as a whole."""
        self.count += 1
        if len(self.kept) < _KEPT:
            self.kept.append(text)

    def summary(self) -> str:
        """Return a sentence for the job's description, empty when there is nothing to tell."""
        if not self.count:
            return ""
        named = "; ".join(self.kept[:_TOLD])
        more = f"; and {self.count - _TOLD} more" if self.count > _TOLD else ""
        return f" {self.count} warnings: {named}{more}."
