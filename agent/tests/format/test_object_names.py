# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of objects: injective, canonical, and no listing can smuggle anything through them."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from format_strategies import ids
from hypothesis import given
from hypothesis import strategies as st

from papi_backup.engine.format.names import (
    MAXIMUM_ESCAPED,
    catalog_name,
    chain_prefix,
    escape,
    escape_host,
    parse_catalog_name,
    unescape,
    unescape_host,
    volume_name,
)
from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.errors import InvalidParameterError

short_names = st.binary(min_size=1, max_size=60).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
hosts = st.text(min_size=1, max_size=15).map(str.lower).filter(lambda name: name != "localhost")
dates = st.datetimes(datetime(1970, 1, 1), datetime(9998, 12, 31, 23, 59, 59)).map(
    lambda date: date.replace(microsecond=0, tzinfo=UTC)
)
catalog_entries = st.builds(
    CatalogEntry,
    host_name=hosts,
    backup_name=short_names,
    date=dates,
    backup_type=st.sampled_from(["full", "inc"]),
    encrypted=st.booleans(),
    chain=ids,
    backup=ids,
    instance=ids,
    manifest_size=st.integers(1, 10**18 - 1),
    path=st.just(""),
)
AN_ENTRY = CatalogEntry(
    host_name="host.example",
    backup_name="etc",
    date=datetime(2026, 3, 1, 12, 30, tzinfo=UTC),
    backup_type="inc",
    encrypted=True,
    chain="c" * 16,
    backup="b" * 16,
    instance="a" * 16,
    manifest_size=1234,
    path="",
)
A_NAME = f"host.example/etc/20260301T123000Z-inc-enc-{'c' * 16}-{'b' * 16}-{'a' * 16}-1234.v1"


@given(short_names)
def test_a_name_comes_back_from_its_escaped_form(name: str) -> None:
    assert unescape(escape(name)) == name


@given(short_names)
def test_an_escaped_name_is_one_harmless_path_component(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9=_-][a-z0-9=._-]*", escape(name))


@given(st.text(alphabet="ab=.-/A0Fg2e\u00e9", max_size=12))
def test_what_escape_would_not_have_made_is_no_name(component: str) -> None:
    name = unescape(component)
    assert name is None or escape(name) == component


@pytest.mark.parametrize(
    "component", ["", ".", "..", ".a", "a/b", "A", "=4", "=4G", "=61", "=zz", "a" * 201, "\u00e9"]
)
def test_no_second_spelling_of_a_name_is_accepted(component: str) -> None:
    assert unescape(component) is None


def test_host_names_differ_in_more_than_case() -> None:
    assert escape_host("Host.Example") == escape_host("host.example") == "host.example"
    assert unescape_host("=48ost") is None


@pytest.mark.parametrize("name", ["localhost", "LocalHost"])
def test_localhost_is_refused(name: str) -> None:
    with pytest.raises(InvalidParameterError, match="host_name"):
        escape_host(name)
    assert unescape_host("localhost") is None


@pytest.mark.parametrize("name", ["", "\u00e9" * 34, "a" * 201, "\ud800"])
def test_names_that_cannot_be_stored_are_invalid_parameters(name: str) -> None:
    with pytest.raises(InvalidParameterError):
        escape(name)


def test_the_longest_name_fits() -> None:
    assert len(escape("a" * MAXIMUM_ESCAPED)) == MAXIMUM_ESCAPED


@given(catalog_entries)
def test_a_catalog_name_tells_everything_about_a_backup(entry: CatalogEntry) -> None:
    name = catalog_name(entry)
    assert parse_catalog_name(name, entry.manifest_size) == replace(entry, path=name)


def test_a_catalog_name_is_as_documented() -> None:
    assert catalog_name(AN_ENTRY) == A_NAME


@pytest.mark.parametrize("size", [0, 1233, 1235])
def test_a_manifest_of_another_size_than_its_name_says_is_no_backup(size: int) -> None:
    assert parse_catalog_name(A_NAME, size) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("20260301", "20260231"),
        ("20260301", "00010101"),
        ("20260301", "99991231"),
        ("T123000", "T123060"),
        ("-inc-", "-incr-"),
        ("-enc-", "-none-"),
        ("cccc", "CCCC"),
        ("bbbb", "bbb"),
        ("-1234", "-01234"),
        (".v1", ".v01"),
        (".v1", ".v1\n"),
        (".v1", ".v1.part"),
        ("host.example", "=68ost.example"),
        ("host.example", "localhost"),
        ("host.example/", ""),
        ("/etc/", "/../"),
        ("/etc/", "/etc/etc/"),
        ("2026", "\u0662026"),
    ],
)
def test_any_other_name_is_no_backup(before: str, after: str) -> None:
    assert parse_catalog_name(A_NAME.replace(before, after, 1), 1234) is None


@given(st.text(max_size=150), st.integers())
def test_no_listing_can_break_the_catalog(path: str, size: int) -> None:
    parse_catalog_name(path, size)


@pytest.mark.parametrize("version", ["2", "17", "9999"])
def test_a_later_version_is_listed_as_unreadable(version: str) -> None:
    entry = parse_catalog_name(A_NAME.replace(".v1", f".v{version}"), 1234)
    assert entry is not None
    assert not entry.readable


@pytest.mark.parametrize(
    ("number", "place"), [(0, "0/0"), (999, "0/999"), (1000, "1/1000"), (1234567, "1234/1234567")]
)
def test_volumes_lie_a_thousand_to_a_directory(number: int, place: str) -> None:
    prefix = chain_prefix("Host.example", "my backup", "c" * 16)
    assert volume_name(prefix, "b" * 16, "d", number) == (
        f"data/host.example/my=20backup/{'c' * 16}/{'b' * 16}/d/{place}"
    )
