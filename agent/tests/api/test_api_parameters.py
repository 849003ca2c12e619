# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters: how they may arrive, and what they then mean."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running_api import RunningApi

from papi_backup.api import checks
from papi_backup.api.checks import UnfitError
from papi_backup.api.dates import format_date, parse_date
from papi_backup.api.kinds import Boolean, Integer, IntegerList, Kind, SecretText, Text, TextList
from papi_backup.api.raw_parameters import raw_parameters
from papi_backup.model.errors import InvalidParameterError

ROME = ZoneInfo("Europe/Rome")
FORM = "application/x-www-form-urlencoded"
MULTIPART = b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1 \xc3\xa4\r\n--B--\r\n'


@pytest.mark.parametrize(
    ("query", "content_type", "body", "expected"),
    [
        (b"a=1&b=2", "", b"", {"a": ["1"], "b": ["2"]}),
        (b"a=1", FORM, b"b=%C3%A4+x", {"a": ["1"], "b": ["ä x"]}),
        (b"a=1", FORM, b"a=2", {"a": ["1", "2"]}),
        (b"a=1", "application/json", b'{"b": [1, "2"], "c": null}', {"a": ["1"], "b": [[1, "2"]]}),
        (b"a=1", "application/json", b"", {"a": ["1"]}),
        (b"", "application/json; charset=utf-8", '{"a": "ä"}'.encode(), {"a": ["ä"]}),
        (b"", "", b' {"a": 1}', {"a": [1]}),
        (b"", "application/json", b'{"a": 1, "b": {"c": 1, "c": 2}, "a": 2}', {"a": [1, 2], "b": [{"c": 2}]}),
        (b"", "text/plain", b"a=1\r\n", {"a": ["1"]}),
        (b"", "multipart/form-data", b"", {}),
        (b"a=1", "multipart/form-data", b"b=2", {"a": ["1"], "b": ["2"]}),
        (b"", "multipart/form-data; boundary=B", MULTIPART, {"a": ["1 ä"]}),
        (b"", 'multipart/form-data; boundary="B"', MULTIPART, {"a": ["1 ä"]}),
        (b"", "multipart/form-data", MULTIPART, {"a": ["1 ä"]}),
        (b"list[]=1&list[]=2&x", "", b"", {"list": ["1", "2"], "x": [""]}),
        (b"a=%zz&=&&b==", "", b"", {"a": ["%zz"], "": [""], "b": ["="]}),
        (b"a=%FF", "", b"", {"a": ["\udcff"]}),
    ],
)
def test_query_and_body_are_merged_in_every_form_that_clients_send(
    query: bytes, content_type: str, body: bytes, expected: dict[str, list[object]]
) -> None:
    assert raw_parameters(query, content_type, body) == expected


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{"),
        ("application/json", b"[1]"),
        ("application/json", b'"a"'),
        ("application/json", b'{"a": NaN}'),
        ("application/json", b'{"a": "\xff"}'),
        ("application/json", b"[" * 100_000),
        ("application/json", b'{"a": ' + b"9" * 5000 + b"}"),
        ("multipart/form-data; boundary=B", b"--C\r\n\r\n"),
        (FORM, b"a&" * 30_000),
    ],
)
def test_a_malformed_body_is_an_invalid_parameter(content_type: str, body: bytes) -> None:
    with pytest.raises(InvalidParameterError):
        raw_parameters(b"", content_type, body)


@given(
    st.binary(), st.sampled_from(["", FORM, "application/json", "multipart/form-data; boundary=B", "é;=="])
)
def test_any_bytes_are_fields_or_an_invalid_parameter(body: bytes, content_type: str) -> None:
    for query, content in ((body, b""), (b"", body), (b"", b"--B" + body), (b"", b'{"a":' + body)):
        try:
            assert isinstance(raw_parameters(query, content_type, content), dict)
        except InvalidParameterError:
            continue


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (Integer(1, 9), ["5"], 5),
        (Integer(1, 9), [" 5 "], 5),
        (Integer(1, 9), [5, 5], 5),
        (Boolean(), ["True"], True),
        (Boolean(), ["1"], True),
        (Boolean(), [True], True),
        (Boolean(), [0], False),
        (Boolean(), ["false"], False),
        (IntegerList(0, 31), ["1,2,3"], (1, 2, 3)),
        (IntegerList(0, 31), [" 1, 2 ,"], (1, 2)),
        (IntegerList(0, 31), ["[1, 2]"], (1, 2)),
        (IntegerList(0, 31), ["1", "2"], (1, 2)),
        (IntegerList(0, 31), [[1, "2"]], (1, 2)),
        (IntegerList(0, 31), [7], (7,)),
        (TextList(Text()), ["a,b"], ("a", "b")),
        (TextList(Text()), ['["a,b", "c"]'], ("a,b", "c")),
        (TextList(Text()), ["a,b", "c"], ("a,b", "c")),
        (TextList(Text()), [["a,b"]], ("a,b",)),
        (TextList(Text()), ["[0-9]*"], ("[0-9]*",)),
        (TextList(Text()), ["[1]"], ("[1]",)),
        (TextList(Text(undecodable=True)), ["/\udcff"], ("/\udcff",)),
        (Text(), [12], "12"),
        (Text(check=checks.absolute_path), ["//a/./b//c/"], "/a/b/c"),
        (Text(check=checks.host_name), [" WEB1.Example "], "web1.example"),
        (Text(check=checks.server_name), ["[2001:db8::1]"], "2001:db8::1"),
        (Text(check=checks.endpoint_url), ["http://127.0.0.1:8333/"], "http://127.0.0.1:8333"),
        (Text(check=checks.name), ["a" * 200], "a" * 200),
        (Text(check=checks.name), ["ä" * 33], "ä" * 33),
    ],
)
def test_values_are_taken_in_each_form(kind: Kind, values: Sequence[object], expected: object) -> None:
    assert kind.parse(values) == expected


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Integer(1, 9), ["5", "6"]),
        (Integer(1, 9), [True]),
        (Integer(1, 9), [5.0]),
        (Integer(1, 9), ["\x1f5"]),
        (Integer(1, 9), ["5\xa0"]),
        (Integer(1, 9), ["\N{ARABIC-INDIC DIGIT FIVE}"]),
        (Integer(1, 9), [[5]]),
        (Integer(1, 9), ["1" * 40]),
        (Boolean(), ["maybe"]),
        (Boolean(), [2]),
        (Boolean(), [["true"]]),
        (IntegerList(0, 31), [{"a": 1}]),
        (IntegerList(0, 31), ["[" * 10_000]),
        (IntegerList(0, 31), [",".join(["1"] * 10_001)]),
        (TextList(Text()), [[["a"]]]),
        (TextList(Text()), [[1.5]]),
        (Text(), [["a"]]),
        (Text(), [True]),
        (Text(), [1.5]),
        (Text(), ["\udcff"]),
        (Text(undecodable=True), ["\ud800"]),
        (SecretText(), ["a", "b"]),
    ],
)
def test_other_values_do_not_fit(kind: Kind, values: Sequence[object]) -> None:
    with pytest.raises(UnfitError):
        kind.parse(values)


@given(st.recursive(st.text() | st.integers() | st.booleans() | st.none(), st.lists), st.data())
def test_no_value_is_more_than_unfit(value: object, data: st.DataObject) -> None:
    kinds = (Integer(0, 9), Boolean(), IntegerList(0, 9), TextList(Text()), SecretText(), Text())
    kind = data.draw(st.sampled_from(kinds))
    try:
        kind.parse([value])
    except UnfitError:
        return


def test_what_is_wrong_with_a_secret_is_told_without_it(unchanged_api: RunningApi) -> None:
    for value in (
        "planted-secret" * 500,
        "planted-secret\0",
        "planted-secret\udcff",
        ["planted-secret"],
        1.25,
    ):
        body = json.dumps({"backup_name": "n", "storage_id": 1, "encryption_key": value}).encode()
        code, text = unchanged_api.send("POST", "/papi/backup/backup-config/add", body).error
        assert (code, "'encryption_key'" in text) == (3005, True)
        assert "planted" not in text and "1.25" not in text


@pytest.mark.parametrize(
    ("text", "earliest", "latest"),
    [
        ("2026-03-01", "2026-02-28T23:00:00", "2026-03-01T22:59:59"),
        ("2026-03-01 12:30:15", "2026-03-01T11:30:15", "2026-03-01T11:30:15"),
        ("2026-03-01T12:30", "2026-03-01T11:30:00", "2026-03-01T11:30:00"),
        ("2026-03-01 12:30:15Z", "2026-03-01T12:30:15", "2026-03-01T12:30:15"),
        ("2026-03-01 12:30:15-05:30", "2026-03-01T18:00:15", "2026-03-01T18:00:15"),
        ("2026-03-01 12:30:15 +0200", "2026-03-01T10:30:15", "2026-03-01T10:30:15"),
        ("2026-03-01 12:30:15 02:00", "2026-03-01T10:30:15", "2026-03-01T10:30:15"),
        # The hour that comes twice: without offset its first occurrence.
        ("2026-10-25 02:30:00", "2026-10-25T00:30:00", "2026-10-25T00:30:00"),
        ("2026-10-25 02:30:00+01:00", "2026-10-25T01:30:00", "2026-10-25T01:30:00"),
        # The hour that does not exist, and days of 23 and 25 hours.
        ("2026-03-29 02:30:00", "2026-03-29T01:30:00", "2026-03-29T01:30:00"),
        ("2026-03-29", "2026-03-28T23:00:00", "2026-03-29T21:59:59"),
        ("2026-10-25", "2026-10-24T22:00:00", "2026-10-25T22:59:59"),
    ],
)
def test_a_date_means_an_instant_in_its_zone(text: str, earliest: str, latest: str) -> None:
    given_date = parse_date(text)
    assert given_date.earliest(ROME) == datetime.fromisoformat(earliest).replace(tzinfo=UTC)
    assert given_date.latest(ROME) == datetime.fromisoformat(latest).replace(tzinfo=UTC)


def test_a_day_without_midnight_begins_and_ends_at_the_change() -> None:
    cairo = ZoneInfo("Africa/Cairo")  # 2026-04-24 00:00 is 01:00
    change = datetime(2026, 4, 23, 22, tzinfo=UTC)
    assert parse_date("2026-04-24").earliest(cairo) == change
    assert parse_date("2026-04-23").latest(cairo) == change - timedelta(seconds=1)


ZONES = ("Europe/Rome", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Santiago", "UTC")


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)),
    st.sampled_from(ZONES),
)
def test_a_formatted_date_given_back_names_that_very_second(instant: datetime, zone_name: str) -> None:
    zone = ZoneInfo(zone_name)
    back = parse_date(format_date(instant, zone))
    assert back.earliest(zone) == back.latest(zone) == instant.replace(microsecond=0)


@pytest.mark.parametrize("hour", [0, 1])
def test_the_second_occurrence_of_an_hour_carries_its_offset(hour: int) -> None:
    instant = datetime(2026, 10, 25, hour, 30, tzinfo=UTC)
    assert format_date(instant, ROME) == "2026-10-25 02:30:00" + ("+01:00" if hour else "")


def test_unknown_parameters_and_stranger_types_are_tolerated(unchanged_api: RunningApi) -> None:
    for content_type in ("application/json", "multipart/form-data", "image/png", "nonsense"):
        reply = unchanged_api.send("GET", "/papi/backup/storage/list?extra=1", content_type=content_type)
        assert reply.data
    target, fields = "/papi/backup/backup-config/get", b"backup_name=system"
    assert unchanged_api.send("GET", target, fields, content_type=FORM).data
    assert unchanged_api.send("POST", f"{target}?{fields.decode()}").data
