# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dates in parameters and answers (docs/api_conventions.md, "Dates").

An answer is ``YYYY-MM-DD HH:MM:SS`` in the asked zone; in the hour that comes twice the second occurrence
carries its offset.  A parameter may be a bare date, carry an offset, or ``Z``.  Without an offset, a time
that comes twice means its first occurrence, and one that does not exist is counted on from the gap's start.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

# The offset's "+" arrives as a space from clients that do not quote it in a query.
_DATE = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[ T](?P<time>[0-9]{2}:[0-9]{2}(?::[0-9]{2})?)"
    r"(?: ?(?P<utc>Z)| ?(?P<sign>[+-])(?P<hours>[0-9]{2}):?(?P<minutes>[0-9]{2})"
    r"| (?P<unquoted_hours>[0-9]{2}):?(?P<unquoted_minutes>[0-9]{2}))?)?"
)
_FIRST_YEAR, _LAST_YEAR = 2, 9998
"""Room for any offset on both ends of what datetime holds."""


@dataclass(frozen=True, slots=True)
class GivenDate:
    """A date as it was given.  ``moment`` None: a bare date; ``offset`` None: in the zone of the call."""

    day: date
    moment: time | None = None
    offset: timezone | None = None

    def earliest(self, zone: ZoneInfo) -> datetime:
        """Return the instant (UTC), the start of the day for a bare date."""
        return self._at(self.day, self.moment or time(), zone)

    def latest(self, zone: ZoneInfo) -> datetime:
        """Return the instant (UTC), the last whole second of the day for a bare date."""
        if self.moment is not None:
            return self.earliest(zone)
        return self._at(self.day + timedelta(days=1), time(), zone) - timedelta(seconds=1)

    def _at(self, day: date, moment: time, zone: ZoneInfo) -> datetime:
        return datetime.combine(day, moment, self.offset or zone).astimezone(UTC)


def parse_date(text: str) -> GivenDate:
    """Take a date apart; raises :class:`ValueError` with words for a person."""
    match = _DATE.fullmatch(text.strip())
    if match is None:
        raise ValueError("is not YYYY-MM-DD HH:MM:SS, or YYYY-MM-DD")
    try:
        day = date.fromisoformat(match["day"])
        moment = time.fromisoformat(match["time"]) if match["time"] else None
        offset = _offset(match)
    except ValueError:
        raise ValueError("is no date that exists") from None
    if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        raise ValueError(f"is not between the years {_FIRST_YEAR} and {_LAST_YEAR}")
    return GivenDate(day, moment, offset)


def _offset(match: re.Match[str]) -> timezone | None:
    if match["utc"]:
        return UTC
    hours, minutes = match["hours"] or match["unquoted_hours"], match["minutes"] or match["unquoted_minutes"]
    if hours is None:
        return None
    if int(minutes) > 59:
        raise ValueError("minutes of an offset")
    distance = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(-distance if match["sign"] == "-" else distance)


def parse_zone(text: str) -> ZoneInfo:
    """Return an IANA zone; raises :class:`ValueError` with words for a person."""
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):  # not found; malformed; a directory or unreadable
        raise ValueError("is no IANA timezone known to this host") from None


def format_date(instant: datetime | None, zone: ZoneInfo) -> str:
    """Return an aware instant for an answer, whole seconds; "" for None."""
    if instant is None:
        return ""
    local = instant.astimezone(zone)
    # zoneinfo sets fold on the second occurrence only.
    return (local if local.fold else local.replace(tzinfo=None)).isoformat(" ", "seconds")
