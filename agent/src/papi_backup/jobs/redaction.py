# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the secrets of an order out of texts that leave the process: logs, tracebacks, descriptions."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from papi_backup.model.secret import MASK

_SHORTEST = 4
"""Shorter texts are left alone: masking every "a" would tell the secret, not hide it."""


class Redactor:
    """Replaces known secrets, and each line of those that have several (a private key), by a mask."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        parts = {part.strip() for secret in secrets for part in (secret, *secret.splitlines())}
        long_enough = (part for part in parts if len(part) >= _SHORTEST and not part.startswith("-----"))
        self._parts = sorted(long_enough, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return ``text`` without the secrets."""
        for part in self._parts:
            text = text.replace(part, MASK)
            text = text.replace(repr(part)[1:-1], MASK)
        return text


class RedactingFormatter(logging.Formatter):
    """A log format whose finished lines, tracebacks included, hold no secret of ``redactor``."""

    def __init__(self, pattern: str, redactor: Redactor) -> None:
        super().__init__(pattern)
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """Format as usual, then redact."""
        return self._redactor(super().format(record))
