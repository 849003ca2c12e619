# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""schemathesis, with the committed OpenAPI document, finds no answer that the document does not declare.

Each operation gets requests that fit the document and requests that do not; ``make test`` samples them.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from api_document import OPENAPI_DOCUMENT
from declared_answers import endpoint_of, undeclared
from hypothesis import HealthCheck, given, settings
from running_api import RunningApi, running_api

from papi_backup.api.gate import COOKIE
from papi_backup.api.table import ENDPOINTS
from papi_backup.model.account import Identity

pytestmark = pytest.mark.slow

EXAMPLES = 12
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
ADMINISTRATOR = Identity("admin", "administrator")
OPERATIONS = [
    (endpoint.name, method, mode)
    for endpoint in ENDPOINTS
    for method in endpoint.http_methods
    # Without parameters there is nothing that could be wrong.
    for mode in (("POSITIVE", "NEGATIVE") if endpoint.parameters else ("POSITIVE",))
]


@dataclass
class Outside:
    """schemathesis, and the agent it sends requests to."""

    api: RunningApi
    schema: Any
    schemathesis: Any
    checks: list[Any]
    requests: int = 0
    outcomes: Counter[object] = field(default_factory=Counter)

    def send(self, case: Any) -> None:
        """Send one request and check its answer."""
        base = f"http://127.0.0.1:{self.api.server.tcp_port}/papi"
        response = case.call(base_url=base, cookies={COOKIE: self.token})
        self.requests += 1
        case.validate_response(response, checks=self.checks)
        endpoint = endpoint_of(urlsplit(response.request.url).path)
        if "application/json" in response.headers["content-type"]:
            assert endpoint is not None
            assert undeclared(endpoint, response.json()) == []
            self.outcomes[response.json().get("error_code", 0)] += 1

    @property
    def token(self) -> str:
        """A session for each request: logging out is among the operations, and so is failing to log in."""
        return self.api.world.store.sessions.create(ADMINISTRATOR)


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    # Not above: to import it takes longer than the rest of the collection.
    library = importlib.import_module("schemathesis")
    known = importlib.import_module("schemathesis.checks").CHECKS
    schema = library.openapi.from_path(str(OPENAPI_DOCUMENT))
    with running_api(tmp_path_factory.mktemp("schemathesis")) as running:
        outside = Outside(running, schema, library, [known.get_one(name) for name in CHECKS])
        yield outside
        print(f"schemathesis: {outside.requests} requests, codes {dict(outside.outcomes)}")
        assert {0, 3005} <= outside.outcomes.keys()


@pytest.mark.sampled(30)
@pytest.mark.parametrize(("name", "method", "mode"), OPERATIONS)
def test_no_request_gets_an_answer_that_the_document_does_not_declare(
    outside: Outside, name: str, method: str, mode: str
) -> None:
    (endpoint,) = (endpoint for endpoint in ENDPOINTS if endpoint.name == name)
    for extension in ("",) if endpoint.bare else ("", ".json", ".xml"):
        operation = outside.schema[f"/{endpoint.path}{extension}"][method]
        strategy = operation.as_strategy(generation_mode=outside.schemathesis.GenerationMode[mode])

        @settings(
            max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck)
        )
        @given(case=strategy)
        def run(case: Any) -> None:
            outside.send(case)

        run()
