# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dates name backups, whatever the clocks of a zone do: given back, they name that very one.

docs/api_conventions.md, "Dates", says how.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from fake_backends import backup_of
from hypothesis import example, given, settings
from hypothesis import strategies as st
from running_api import RunningApi

from papi_backup.api.dates import format_date, parse_date
from papi_backup.engine.catalog import Manifests, at_or_before
from papi_backup.model.catalog import CatalogEntry

ZONES = (
    "Europe/Rome",
    "America/New_York",
    "America/St_Johns",  # half an hour off
    "Australia/Lord_Howe",  # half an hour of summer time
    "Antarctica/Troll",  # two hours of it
    "Africa/Casablanca",  # it ends for Ramadan
    "Europe/Dublin",  # winter time is the odd one
    "America/Havana",  # at midnight
    "America/Santiago",  # at the end of the day
    "Asia/Gaza",
    "Asia/Kolkata",  # none at all
    "UTC",
)
FIRST, LAST = datetime(2024, 1, 1, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


@dataclass(frozen=True)
class Change:
    """A change of a zone's clocks: the first instant after it, and by how much they moved."""

    zone: ZoneInfo
    instant: datetime
    moved: timedelta


def offset_at(zone: ZoneInfo, instant: datetime) -> timedelta:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


@cache
def changes_of(name: str) -> tuple[Change, ...]:
    """Find the changes between FIRST and LAST, to the second."""
    zone = ZoneInfo(name)
    found = []
    hours = int((LAST - FIRST) / HOUR)
    for number in range(hours):
        early, late = FIRST + number * HOUR, FIRST + (number + 1) * HOUR
        moved = offset_at(zone, late) - offset_at(zone, early)
        if moved:
            while late - early > SECOND:
                middle = early + (late - early) // 2 // SECOND * SECOND
                early, late = (
                    (middle, late) if offset_at(zone, middle) == offset_at(zone, early) else (early, middle)
                )
            found.append(Change(zone, late, moved))
    return tuple(found)


CHANGES = tuple(change for name in ZONES for change in changes_of(name))
BACK = tuple(change for change in CHANGES if change.moved < timedelta())


def test_the_zones_have_changes_of_every_kind() -> None:
    assert {change.moved for change in CHANGES} >= {
        sign * timedelta(minutes=minutes) for sign in (1, -1) for minutes in (30, 60, 120)
    }
    assert len(changes_of("Europe/Rome")) == 10
    assert changes_of("UTC") == changes_of("Asia/Kolkata") == ()


def backups_at(instants: set[datetime]) -> list[CatalogEntry]:
    return [backup_of(instant, number=number + 1) for number, instant in enumerate(sorted(instants))]


def check_that_each_is_named(entries: list[CatalogEntry], zone: ZoneInfo) -> None:
    texts = [format_date(entry.date, zone) for entry in entries]
    assert len(set(texts)) == len(texts)
    for text, entry in zip(texts, entries, strict=True):
        asked = parse_date(text)
        assert asked.earliest(zone) == asked.latest(zone) == entry.date
        assert at_or_before(Manifests(entries, [], {}), asked.latest(zone))[-1] is entry
        assert [one for one in entries if asked.earliest(zone) <= one.date <= asked.latest(zone)] == [entry]


SECONDS_AROUND = st.sets(st.integers(-3 * 3600, 3 * 3600), min_size=1, max_size=8)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(CHANGES), SECONDS_AROUND)
@example(CHANGES[0], {-1, 0})
def test_dates_around_a_change_of_the_clocks_name_the_very_backup(change: Change, seconds: set[int]) -> None:
    check_that_each_is_named(
        backups_at({change.instant + timedelta(seconds=number) for number in seconds}), change.zone
    )


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(BACK), st.data())
def test_two_backups_at_one_time_of_the_hour_that_comes_twice_are_two(
    change: Change, data: st.DataObject
) -> None:
    length = -change.moved
    within = timedelta(seconds=data.draw(st.integers(0, int(length.total_seconds()) - 1)))
    second = change.instant + within
    first = second - length
    local = [instant.astimezone(change.zone).replace(tzinfo=None, fold=0) for instant in (first, second)]
    assert local[0] == local[1]
    told = [format_date(instant, change.zone) for instant in (first, second)]
    assert told[0] == f"{local[0]}"
    assert told[1].startswith(f"{local[0]}") and told[1][-6] in "+-"
    check_that_each_is_named(backups_at({first, second, first - SECOND, second + SECOND}), change.zone)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(ZONES), st.datetimes(datetime(2000, 1, 1), datetime(2036, 1, 1)), st.data())
def test_a_bare_date_is_the_whole_day_from_its_first_second_to_its_last(
    name: str, moment: datetime, data: st.DataObject
) -> None:
    zone = ZoneInfo(name)
    instant = moment.replace(tzinfo=UTC, microsecond=0)
    if changes_of(name) and data.draw(st.booleans()):
        change = data.draw(st.sampled_from(changes_of(name)))
        instant = change.instant + timedelta(seconds=data.draw(st.integers(-7200, 7200)))
    day: date = instant.astimezone(zone).date()
    bare = parse_date(day.isoformat())
    assert bare.earliest(zone) <= instant <= bare.latest(zone)
    assert (bare.earliest(zone) - SECOND).astimezone(zone).date() < day
    assert bare.earliest(zone).astimezone(zone).date() == day
    assert bare.latest(zone).astimezone(zone).date() == day
    assert (bare.latest(zone) + SECOND).astimezone(zone).date() > day


@pytest.mark.parametrize("extension", ["", ".xml"])
@pytest.mark.parametrize("name", [name for name in ZONES if changes_of(name)])
def test_what_the_api_lists_it_finds_again_in_that_zone_and_in_any_other(
    api: RunningApi, name: str, extension: str
) -> None:
    (change, *unused) = [one for one in changes_of(name) if one.moved < timedelta()]
    del unused
    steps = {step * -change.moved // 3 for step in range(-5, 4)}
    entries = backups_at({change.instant + step // SECOND * SECOND for step in steps})
    api.world.queries.backups = {"vault": entries}
    place = {"storage_name": "vault", "timezone": name}
    told = listed(api, extension, place)
    assert len(told) == len(entries)
    for text, entry in zip(told, entries, strict=True):
        assert listed(api, extension, place | {"date_from": text, "date_to": text}) == [text]
        restore = {"backup_name": "system", "restore_date": text}
        api.call("POST", f"backup/restore{extension}", place | restore)
        assert api.world.queue.restores[-1].restore_date == entry.date
        # With its offset a date means the same whatever the zone of the call.
        whole = entry.date.astimezone(change.zone).isoformat(" ", "seconds")
        abroad = {"storage_name": "vault", "timezone": "Asia/Tokyo", "date_from": whole, "date_to": whole}
        assert len(listed(api, extension, abroad)) == 1
    assert listed(api, extension, place | {"date_from": told[-1]}) == [told[-1]]
    assert listed(api, extension, place | {"date_to": told[0]}) == [told[0]]


def listed(api: RunningApi, extension: str, fields: dict[str, str]) -> list[str]:
    """Return the dates of the one backup name that is listed."""
    reply = api.call("GET", f"backup/list{extension}", fields)
    if extension:
        return [element.text or "" for element in reply.xml.iterfind("data/vault/system/element/date")]
    data = reply.data
    assert isinstance(data, dict)
    return [entry["date"] for entry in data["vault"].get("system", [])]
