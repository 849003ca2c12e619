# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this program looks for."""

from __future__ import annotations


class FoundFaultError(Exception):
    """Something was lost, told wrongly, or did not work again after a kill."""


def expect(holds: object, words: str) -> None:
    """Raise FoundFaultError with ``words`` unless something holds."""
    if not holds:
        raise FoundFaultError(words)
