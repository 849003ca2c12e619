# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``[limits]`` of agent.toml: how fast jobs may transfer, and their priority, by time of day."""

from __future__ import annotations

import re

from papi_backup.model.limits import EVERY_DAY, Limits, Window
from papi_backup.toml_table import Table

IO_CLASSES = ("idle", "best-effort", "none")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SLOWEST, FASTEST = 8, 1 << 30
"""KiB a second.  Slower, one request would last longer than a broken transfer is tried again."""
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_KIBIBYTE = 1024


def read_limits(table: Table, zone: str) -> Limits:
    """Return what ``[limits]`` says, for times in ``zone``.

    Raises :class:`InvalidParameterError` that names the key.
    """
    windows = tuple(_window(window) for window in table.tables("windows"))
    limits = Limits(_rate(table, "upload") or 0, _rate(table, "download") or 0, zone, windows)
    table.refuse_unknown()
    return limits


def _window(table: Table) -> Window:
    days = table.texts("days")
    for day in days:
        if day not in DAYS:
            raise table.error("days", f"{day!r} is none of {', '.join(DAYS)}")
    window = Window(
        days=tuple(DAYS.index(day) for day in days) or EVERY_DAY,
        start=_minute(table, "from"),
        end=_minute(table, "to"),
        upload=_rate(table, "upload"),
        download=_rate(table, "download"),
        nice=table.integer("nice", 0, 0, 19) if table.has("nice") else None,
        ionice=table.choice("ionice", "none", IO_CLASSES) if table.has("ionice") else None,
    )
    table.refuse_unknown()
    return window


def _minute(table: Table, key: str) -> int:
    found = _TIME.fullmatch(table.text(key, ""))
    if found is None:
        raise table.error(key, 'expected a time of day, "00:00" to "23:59"')
    return int(found[1]) * 60 + int(found[2])


def _rate(table: Table, key: str) -> int | None:
    """Return bytes a second, 0 for no limit, None where nothing is said."""
    if not table.has(key):
        return None
    rate = table.integer(key, 0, 0, FASTEST)
    if 0 < rate < SLOWEST:
        raise table.error(key, f"expected 0, for no limit, or at least {SLOWEST} (KiB a second)")
    return rate * _KIBIBYTE
