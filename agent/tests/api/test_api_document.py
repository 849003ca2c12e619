# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The endpoint table is what the documents say: docs/openapi.json and docs/api.md are made of it."""

from __future__ import annotations

import json

import pytest
from api_document import API_DOCUMENT, OPENAPI_DOCUMENT, api_text, openapi_text
from declared_answers import undeclared
from document_examples import REQUESTS
from running_api import RunningApi

from papi_backup.api import results
from papi_backup.api.openapi import openapi_document
from papi_backup.api.shapes import Shape, TextShape
from papi_backup.api.table import ENDPOINTS, METHODS, by_path

PATHS = {f"/{endpoint.path}" for endpoint in ENDPOINTS}


def test_the_committed_openapi_document_is_current() -> None:
    assert OPENAPI_DOCUMENT.read_text() == openapi_text(), "run scripts/docs"


def test_the_committed_openapi_document_says_that_it_is_made_and_is_the_served_one_otherwise() -> None:
    committed = json.loads(OPENAPI_DOCUMENT.read_text())
    assert "scripts/docs" in committed.pop("x-made-by")
    assert committed == openapi_document(ENDPOINTS)


def test_every_request_in_the_api_document_is_answered_as_it_says() -> None:
    assert API_DOCUMENT.read_text() == api_text(), "run scripts/docs"


def test_the_api_document_shows_a_request_of_every_method_and_no_secret() -> None:
    assert REQUESTS.keys() == {endpoint.name for endpoint in ENDPOINTS}
    assert all(REQUESTS.values())
    text = API_DOCUMENT.read_text()
    assert all(f"### {endpoint.name}\n" in text for endpoint in ENDPOINTS)
    for secret in ("s3-secret", "the-key", "private-key"):
        assert secret not in text


def test_the_agent_serves_the_openapi_document_to_everybody(unchanged_api: RunningApi) -> None:
    for method in ("GET", "POST"):
        reply = unchanged_api.call(method, "openapi.json", via="port")
        assert (reply.status, reply.media_type) == (200, "application/json")
        assert reply.envelope == openapi_document(ENDPOINTS)
    for path in ("openapi", "openapi.xml", "openapi.json.json", "openapi.json.xml"):
        assert unchanged_api.get(path).status == 404


def test_the_openapi_document_has_each_path_with_each_extension_and_method() -> None:
    paths = openapi_document(ENDPOINTS)["paths"]
    assert isinstance(paths, dict)
    for endpoint in METHODS:
        for extension in ("", ".json", ".xml"):
            item = paths[f"/{endpoint.path}{extension}"]
            assert item.keys() == {method.lower() for method in endpoint.http_methods}
    operations = [operation["operationId"] for item in paths.values() for operation in item.values()]
    assert len(set(operations)) == len(operations)
    bare = sum(endpoint.bare for endpoint in ENDPOINTS)
    assert len(paths) == 3 * (len(ENDPOINTS) - bare) + bare


def test_every_row_of_the_table_says_what_it_is_about() -> None:
    assert len(by_path()) == len(ENDPOINTS)
    for endpoint in ENDPOINTS:
        assert endpoint.summary.endswith(".")
        for parameter in endpoint.parameters:
            assert parameter.meaning.endswith("."), (endpoint.name, parameter.name)


JOB = {
    "job_id": 1,
    "job_type": "backup",
    "job_status": "failed",
    "description": "",
    "backup_name": "n",
    "backup_type": "inc",
    "start_date": "2026-10-25 02:30:00+01:00",
    "end_date": "",
    "size_transferred": 0,
    "size_transferred_human": "0 B",
    "error_code": 0,
    "files": 0,
    "bytes_read": 0,
    "bytes_stored": 0,
    "entries_changed": 0,
    "warnings": 0,
}
PROGRESS = dict.fromkeys(
    ("files_done", "files_total", "bytes_done", "bytes_total", "rate", "remaining_seconds"), 0
)


@pytest.mark.parametrize(
    "change",
    [
        {"job_id": "1"},
        {"job_id": True},
        {"job_id": 0},
        {"job_status": "done"},
        {"start_date": "2026-10-25T02:30:00"},
        {"start_date": None},
        {"description": None},
        {"size_transferred": 1.5},
        {"new": 1},
        {"rate": 1.5},
    ],
    ids=str,
)
def test_a_shape_finds_what_was_not_declared(change: dict[str, object]) -> None:
    assert list(results.JOB.faults(JOB)) == list(results.JOB.faults(JOB | PROGRESS)) == []
    (fault,) = results.JOBS.faults([JOB, JOB | change])
    assert fault.startswith("data[1]")
    assert next(iter(change)) in fault


@pytest.mark.parametrize(
    ("shape", "value"),
    [
        (results.JOBS, {}),
        (results.JOB, []),
        (results.HOST_NAMES, []),
        (results.HOST_NAMES, {"a": ["b", 1]}),
        (results.SUCCESS, "true"),
        (results.STORAGES, [{"type": "ssh"}]),
        (TextShape(), b"x"),
        (results.BACKUPS, {"s": {"b": [{"full": 1}]}}),
    ],
    ids=str,
)
def test_a_shape_finds_other_types(shape: Shape, value: object) -> None:
    assert list(shape.faults(value))


@pytest.mark.parametrize(
    "envelope",
    [
        [],
        {},
        {"success": True, "data": "success"},
        {"success": "1", "data": "success"},
        {"success": 1},
        {"success": 1, "data": "success", "job": 1},
        {"success": 1, "data": "success", "job_id": "1"},
        {"success": 0, "error_code": 3005},
        {"success": 0, "error_code": "3005", "error": ""},
        {"success": 0, "error_code": 3005, "error": None},
        {"success": 0, "error_code": 9999, "error": ""},
        {"success": 2, "error_code": 3005, "error": ""},
    ],
    ids=str,
)
def test_an_envelope_that_is_not_declared_is_found(envelope: object) -> None:
    run = by_path()["/papi/backup/backup/run"]
    assert undeclared(run, {"success": 1, "data": "success", "job_id": 1}) == []
    assert undeclared(run, envelope)
