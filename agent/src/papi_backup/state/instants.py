# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instants as text of one width, so that SQLite sorts and compares them."""

from __future__ import annotations

from datetime import UTC, datetime


def to_text(instant: datetime) -> str:
    """Return an aware ``instant`` in UTC; raises ValueError for a naive one: its meaning is a guess."""
    if instant.tzinfo is None:
        raise ValueError("an instant needs a timezone")
    return instant.astimezone(UTC).isoformat(timespec="microseconds")


def from_text(text: str) -> datetime:
    """Return the instant that :func:`to_text` wrote; raises ValueError for what it did not write."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("an instant needs a timezone")
    return instant


def utcnow() -> datetime:
    """Return the present instant, aware, UTC."""
    return datetime.now(UTC)
