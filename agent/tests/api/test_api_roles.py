# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Viewers change nothing and see no secret: held to by every row of the endpoint table, whatever is added."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from document_examples import REQUESTS
from running_api import Reply, RunningApi, running_api

from papi_backup.api.endpoint import CHANGE, READ, Endpoint
from papi_backup.api.table import ENDPOINTS
from papi_backup.model.secret import MASK

PLANTED = (b"s3-secret", b"the-key", b"private-key")
"""The secrets of the tests' world."""

WAYS_IN = ("session", "token", "password", "password over root's socket")
CHANGES = [endpoint for endpoint in ENDPOINTS if endpoint.access == "administrator"]
SESSIONS = ("login", "logout")
"""They show nothing, and would end the sessions that these tests share."""

OTHERS = [
    endpoint for endpoint in ENDPOINTS if endpoint.access != "administrator" and endpoint.name not in SESSIONS
]
SHOWS_SECRETS = {"list_storages", "list_backup_config", "get_backup_config"}


class Caller:
    """Somebody with a role, who comes in by each of the ways."""

    def __init__(self, api: RunningApi, role: str) -> None:
        self.name = "admin" if role == "administrator" else "viewer"
        self._api = api
        self._password = {"username": self.name, "password": "secret"}
        existing = [token.name for token in api.world.store.tokens.list()]
        token_name = f"{self.name}-token-{len(existing)}"
        value = api.world.store.tokens.add(token_name, "viewer" if role == "viewer" else "administrator")[1]
        self._token = {"key": token_name, "api_token": value.reveal()}

    def call(self, endpoint: Endpoint, way: str, extension: str, fields: dict[str, object]) -> Reply:
        """POST, which every method takes."""
        path = f"/papi/{endpoint.path}{'' if endpoint.bare else extension}"
        credentials = {"token": self._token}.get(way, {} if way == "session" else self._password)
        # A new one each time: calls with a password open sessions too, and the oldest make room.
        cookie = self._api.login(self.name) if way == "session" else ""
        via = "socket" if "socket" in way else "port"
        return self._api.call("POST", path, fields | credentials, via=via, cookie=cookie)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    directory: Path = tmp_path_factory.mktemp("roles")
    with running_api(directory) as running:
        running.world.queries.host_key = "ssh-ed25519 AAAA-shown-by-the-server"
        yield running


@pytest.fixture(scope="module")
def viewer(api: RunningApi) -> Caller:
    return Caller(api, "viewer")


@pytest.fixture(scope="module")
def administrator(api: RunningApi) -> Caller:
    return Caller(api, "administrator")


def requests_of(endpoint: Endpoint) -> tuple[dict[str, object], ...]:
    """Return arguments with which the method works; a method without them fails its tests."""
    return REQUESTS[endpoint.name]


def named(endpoint: Endpoint) -> str:
    return endpoint.name


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=named)
def test_what_takes_post_alone_is_for_administrators_and_what_takes_get_is_no_change(
    endpoint: Endpoint,
) -> None:
    assert endpoint.http_methods in (READ, CHANGE)
    assert (endpoint.http_methods == CHANGE) == (endpoint.access == "administrator")
    dry_run = "dry_run" in {parameter.name for parameter in endpoint.parameters}
    assert dry_run == (endpoint.http_methods == CHANGE)


@pytest.mark.parametrize("way", WAYS_IN)
@pytest.mark.parametrize("endpoint", CHANGES, ids=named)
def test_a_viewer_is_refused_every_change_and_dry_run_by_name_and_code(
    api: RunningApi, viewer: Caller, endpoint: Endpoint, way: str
) -> None:
    before = api.world.contents()
    for fields in (*requests_of(endpoint), {}, {"dry_run": 1}):
        code, text = viewer.call(endpoint, way, "", fields).error
        assert code == 3001
        assert text.startswith("Permission denied: 'viewer") and endpoint.name in text
        assert viewer.call(endpoint, way, ".xml", fields).xml.findtext("error_code") == "3001"
    assert api.world.contents() == before


@pytest.mark.parametrize("way", WAYS_IN)
@pytest.mark.parametrize("endpoint", OTHERS, ids=named)
def test_whatever_a_viewer_may_call_changes_nothing_and_shows_no_secret(
    api: RunningApi, viewer: Caller, endpoint: Endpoint, way: str
) -> None:
    before = api.world.contents()
    for fields in requests_of(endpoint):
        known = {"backup_name": "system"} if "backup_name" in fields else {}
        for extension in ("", ".json", ".xml"):
            reply = viewer.call(endpoint, way, extension, fields | known)
            assert reply.status == 200
            assert b"<success>1<" in reply.body or b'"success": 1' in reply.body or endpoint.bare, reply.body
            assert not [secret for secret in PLANTED if secret in reply.body]
    assert api.world.contents() == before


@pytest.mark.parametrize("way", WAYS_IN)
def test_an_administrator_is_shown_the_secrets_that_these_tests_look_for(
    administrator: Caller, viewer: Caller, way: str
) -> None:
    showing = set()
    for endpoint in OTHERS:
        for fields in requests_of(endpoint):
            known = {"backup_name": "system"} if "backup_name" in fields else {}
            reply = administrator.call(endpoint, way, "", fields | known)
            if any(secret in reply.body for secret in PLANTED):
                showing.add(endpoint.name)
                assert MASK.encode() in viewer.call(endpoint, way, "", fields | known).body
            # The private half of an SSH id is for nobody.
            assert b"private-key" not in reply.body
    assert showing == SHOWS_SECRETS
