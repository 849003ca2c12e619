# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conformance, case by case, on one running agent, whose storages have names that are no XML names.

``make test`` tries a sample of the cases, spread evenly over all methods and parameters.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from conformance_cases import ACCEPTED, CATEGORIES, EXTENSIONS, REFUSED_METHOD, Case, cases, counted
from conformance_sorts import ID, PARAMETERS
from declared_answers import endpoint_of, undeclared
from fake_backends import NOW, backup_of
from method_examples import EXAMPLES, Example
from running_api import Reply, RunningApi, running_api
from spec_answers import ANSWERS, departures
from xml_agreement import agrees

from papi_backup.api.table import EXTENSIONS as OWN_METHODS
from papi_backup.api.table import METHODS
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage

pytestmark = pytest.mark.slow

ODD_NAMES = ("my storage", "1st & <2nd>", "element", "xml", "ä😀", "_x0041_", "a:b", "-", "]]>")
CASES = cases()


@pytest.fixture(scope="module")
def odd_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    with running_api(tmp_path_factory.mktemp("conformance")) as running:
        store, queries = running.world.store, running.world.queries
        for name in ODD_NAMES:
            store.storages.add(S3Storage(name, "AKID", Secret("s3-secret"), "backups", 32))
        backups = [backup_of(NOW + timedelta(hours=hour), name) for hour, name in enumerate(ODD_NAMES)]
        queries.backups = dict.fromkeys(ODD_NAMES, backups) | {"vault": backups}
        queries.host_key = ""
        running.world.add_job()
        config = store.configs.by_name("system")
        for name in ODD_NAMES:
            store.configs.add(replace(config, backup_name=name, backup_id=0, paths=(f"/{name}", "/\udcff")))
        before = running.whole_state()
        yield running
        assert running.whole_state() == before


def sent(api: RunningApi, case: Case, path: str) -> Reply:
    if case.as_json:
        body = json.dumps(case.fields).encode()
        target = f"/papi/backup/{path}"
        return api.send(case.http_method, target, body, content_type="application/json")
    return api.call(case.http_method, path, case.fields)


def check_refused(case: Case, envelope: dict[str, object]) -> None:
    assert envelope["success"] == 0, envelope
    assert envelope["error_code"] == case.code, envelope
    text = envelope["error"]
    assert isinstance(text, str)
    assert "Traceback" not in text and len(text) < 400
    if case.category == "missing":
        assert text == f"Missing required field '{case.parameter}'."
    elif case.code == 3005:
        assert f"'{case.parameter}'" in text
    else:
        assert str(case.fields[case.parameter]) in text


def check_as_the_spec_has_it(case: Case, data: object) -> None:
    """Methods that change are asked for a dry run here, which the spec has not."""
    if case.method in ANSWERS and "dry_run" not in case.fields:
        assert list(departures(ANSWERS[case.method], data)) == []


@pytest.mark.sampled(1500)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_case_is_answered_as_it_must_be_and_changes_nothing(odd_api: RunningApi, case: Case) -> None:
    before = odd_api.world.contents()
    reply = sent(odd_api, case, case.path)
    in_json = reply
    if case.extension == ".xml":
        in_json = sent(odd_api, case, case.path.removesuffix(".xml"))
        assert agrees(reply.xml, in_json.envelope), (reply.body, in_json.body)
    assert reply.media_type == ("application/xml" if case.extension == ".xml" else "application/json")
    if case.code == REFUSED_METHOD:
        assert (reply.status, reply.headers["Allow"]) == (405, "POST")
        assert in_json.envelope["success"] == 0
    else:
        endpoint = endpoint_of(f"/papi/backup/{case.path}")
        assert endpoint is not None
        assert reply.status == 200
        assert undeclared(endpoint, in_json.envelope) == []
        if case.code == ACCEPTED:
            assert in_json.envelope["success"] == 1, in_json.body
            check_as_the_spec_has_it(case, in_json.envelope["data"])
        else:
            check_refused(case, in_json.envelope)
    assert odd_api.world.contents() == before


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize(
    "example", [example for example in EXAMPLES if example.changes], ids=lambda one: one.method
)
def test_each_change_is_made_when_it_is_no_dry_run(
    busy_api: RunningApi, example: Example, extension: str
) -> None:
    api = busy_api
    before = api.world.contents()
    reply = api.call("POST", example.path + extension, example.arguments)
    if extension == ".xml":
        assert (reply.xml.findtext("success"), reply.xml.findtext("data")) == ("1", "success")
    else:
        assert reply.data == ANSWERS.get(example.method, "success")
    assert api.world.contents() != before


def test_the_answers_of_the_spec_are_not_empty_here(odd_api: RunningApi) -> None:
    """Else nothing would be said of their fields."""
    asked = [example for example in EXAMPLES if not example.changes and example.method in ANSWERS]
    for example in asked:
        data = odd_api.call("GET", example.path, example.arguments).data
        assert data, example.method
        assert list(departures(ANSWERS[example.method], data)) == []
        for wrong in (None, [], [None], {}, {"a": None}, {"a": [{}]}, [{"type": "ssh"}]):
            empty = wrong in ([], {}) and not isinstance(ANSWERS[example.method], str | dict)
            assert empty or list(departures(ANSWERS[example.method], wrong)), (example.method, wrong)
    assert ANSWERS.keys() == {method.name for method in METHODS}


ASKED_OF_EACH = {"missing", "empty", "wrong type", "out of bounds", "too long", "not UTF-8", "repeated"}
LOOKED_UP_BY_NAME = {
    ("test_storage", "storage_name"),
    ("restore_backup", "storage_name"),
    ("list_backups", "storage_name"),
    ("list_hostnames", "storage_name"),
    ("run_backup", "backup_name"),
    ("get_backup_config", "backup_name"),
}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.method)
def test_each_parameter_is_asked_everything_by_each_method_in_each_format(example: Example) -> None:
    found: dict[tuple[str, str, str], set[str]] = {}
    for case in CASES:
        if case.method == example.method:
            found.setdefault((case.http_method, case.extension, case.parameter), set()).add(case.category)
    for http_method in example.http_methods:
        for extension in EXTENSIONS:
            assert "right" in found[http_method, extension, ""]
            for parameter, sort in PARAMETERS[example.method].items():
                # Without dry_run the change would be made, which is shown above.
                asked = ASKED_OF_EACH - ({"missing", "empty"} if parameter == "dry_run" else set())
                if sort is ID or (example.method, parameter) in LOOKED_UP_BY_NAME:
                    asked |= {"unknown"}
                assert found[http_method, extension, parameter] == asked, (http_method, extension, parameter)


def test_the_table_of_cases_leaves_no_parameter_out() -> None:
    ours = {
        method.name: [parameter.name for parameter in method.parameters]
        for method in (*METHODS, *OWN_METHODS)
    }
    assert {name: sorted(found) for name, found in PARAMETERS.items()} == {
        name: sorted(found) for name, found in ours.items()
    }
    assert counted().keys() == set(CATEGORIES)
    assert len({str(case) for case in CASES}) == len(CASES)
