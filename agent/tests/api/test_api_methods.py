# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every method of the spec on a running server: what works, what is missing, what is malformed."""

from __future__ import annotations

import json

import method_examples
import pytest
from method_examples import EXAMPLES, Example
from running_api import Reply, RunningApi
from xml_agreement import agrees

from papi_backup.api.table import EXTENSIONS, METHODS

CHANGES = [example for example in EXAMPLES if example.changes]
READS = [example for example in EXAMPLES if not example.changes]


def named(value: object) -> str:
    return value.method if isinstance(value, Example) else ascii(value)[:30]


def test_the_table_has_exactly_the_methods_of_the_spec_and_our_own_beside_them() -> None:
    for endpoints, examples in (
        (METHODS, method_examples.METHODS),
        (EXTENSIONS, method_examples.EXTENSIONS),
    ):
        ours = [(endpoint.name, endpoint.path, endpoint.http_methods) for endpoint in endpoints]
        theirs = [(example.method, f"backup/{example.path}", example.http_methods) for example in examples]
        assert sorted(ours) == sorted(theirs)
    assert len(METHODS) == 22


def works(api: RunningApi, example: Example, extension: str) -> None:
    for http_method in example.http_methods:
        reply = api.call(http_method, example.path + extension, example.arguments)
        assert reply.status == 200
        if extension == ".xml":
            assert reply.xml.findtext("success") == "1", reply.body
            assert reply.xml.tag == "result"
        else:
            assert reply.envelope["success"] == 1, reply.body
            assert json.dumps(reply.envelope["success"]) == "1"  # not true
            assert "data" in reply.envelope


@pytest.mark.parametrize("extension", ["", ".json", ".xml"])
@pytest.mark.parametrize("example", READS, ids=named)
def test_each_reading_method_works_in_each_format_by_get_and_post(
    unchanged_api: RunningApi, example: Example, extension: str
) -> None:
    works(unchanged_api, example, extension)


@pytest.mark.parametrize("extension", [".json", ".xml"])
@pytest.mark.parametrize("example", CHANGES, ids=named)
def test_each_changing_method_works_in_each_format_by_post(
    busy_api: RunningApi, example: Example, extension: str
) -> None:
    works(busy_api, example, extension)


@pytest.mark.parametrize("example", READS, ids=named)
def test_xml_says_what_json_says(unchanged_api: RunningApi, example: Example) -> None:
    in_json = unchanged_api.call("GET", example.path, example.arguments)
    in_xml = unchanged_api.call("POST", f"{example.path}.xml", example.arguments)
    assert agrees(in_xml.xml, in_json.envelope)


@pytest.mark.parametrize("example", CHANGES, ids=named)
def test_a_change_answers_success_and_is_made_and_refuses_get(busy_api: RunningApi, example: Example) -> None:
    api = busy_api
    before = api.world.contents()
    refused = api.call("GET", example.path, example.arguments)
    assert (refused.status, refused.headers["Allow"]) == (405, "POST")
    assert refused.envelope["success"] == 0
    assert api.world.contents() == before
    assert api.call("POST", example.path, example.arguments).data == "success"
    assert api.world.contents() != before


@pytest.mark.parametrize(
    ("example", "parameter"),
    [(example, parameter) for example in EXAMPLES for parameter in example.required],
    ids=named,
)
def test_a_missing_or_empty_required_parameter_is_named(
    unchanged_api: RunningApi, example: Example, parameter: str
) -> None:
    without = {name: value for name, value in example.arguments.items() if name != parameter}
    for arguments in (without, without | {parameter: ""}):
        reply = unchanged_api.call("POST", example.path, arguments)
        code, text = reply.error
        assert (code, parameter in text) == (3005, True), text
        if parameter not in arguments:
            assert text == f"Missing required field '{parameter}'."


@pytest.mark.parametrize("example", [example for example in EXAMPLES if example.wrong], ids=named)
def test_a_malformed_parameter_is_named_and_changes_nothing(
    unchanged_api: RunningApi, example: Example
) -> None:
    for parameter, values in example.wrong.items():
        for value in values:
            arguments = example.arguments | {parameter: value}
            code, text = unchanged_api.call("POST", example.path, arguments).error
            if code == 3007 and parameter.endswith("name"):
                # A blank optional name is absent; nothing else of these may be looked up.
                pytest.fail(f"{parameter}={value!r} was looked up")
            assert (code, f"'{parameter}'" in text) == (3005, True), (parameter, value, text)
            assert "Traceback" not in text and len(text) < 400


@pytest.mark.parametrize(
    ("example", "parameter"),
    [(example, parameter) for example in EXAMPLES for parameter in example.unknown],
    ids=named,
)
def test_what_does_not_exist_is_3007(unchanged_api: RunningApi, example: Example, parameter: str) -> None:
    arguments = example.arguments | {parameter: example.unknown[parameter]}
    code, text = unchanged_api.call("POST", example.path, arguments).error
    assert (code, str(example.unknown[parameter]) in text) == (3007, True), text


def test_errors_come_in_the_format_that_was_asked_for(unchanged_api: RunningApi) -> None:
    reply = unchanged_api.post("storage/test.xml", storage_name="nowhere & co")
    assert reply.status == 200
    assert reply.xml.findtext("success") == "0"
    assert reply.xml.findtext("error_code") == "3007"
    assert "nowhere & co" in (reply.xml.findtext("error") or "")


@pytest.mark.parametrize(
    "path",
    [
        "/papi/backup/storage/list.pdf",
        "/papi/backup/storage/list.",
        "/papi/backup/storage/list.JSON",
        "/papi/backup/storage/list.json.xml",
        "/papi/backup/storage/list/",
        "/papi/backup/storage",
        "/papi/",
        "/",
        "/papi/backup/storage/list%00",
        "/papi/backup/../login",
        "/%ff%fe",
    ],
)
def test_an_unknown_path_or_extension_is_a_404_with_an_envelope(unchanged_api: RunningApi, path: str) -> None:
    for http_method in ("GET", "POST"):
        reply = unchanged_api.send(http_method, path)
        assert reply.status == 404
        if reply.media_type == "application/json":
            assert (reply.envelope["success"], reply.envelope["error_code"]) == (0, 3007)
        else:
            assert reply.xml.findtext("error_code") == "3007"


def test_other_http_methods_are_405_and_head_is_a_get_without_a_body(unchanged_api: RunningApi) -> None:
    for http_method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        reply = unchanged_api.send(http_method, "/papi/backup/storage/list")
        assert (reply.status, reply.headers["Allow"]) == (405, "GET, POST")
    head: Reply = unchanged_api.send("HEAD", "/papi/backup/storage/list")
    assert (head.status, head.body) == (200, b"")
    assert unchanged_api.send("HEAD", "/papi/backup/storage/del").status == 405
