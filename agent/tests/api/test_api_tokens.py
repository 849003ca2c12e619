# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""API tokens and sessions over the wire (docs/accounts.md)."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from fake_backends import CHEAP, NOW, FakeQueries, FakeQueue, World
from running_api import RunningApi

from papi_backup.api.server import ApiServer
from papi_backup.config import ApiSettings, Settings
from papi_backup.model.secret import Secret
from papi_backup.services.container import Services
from papi_backup.state.passwords import ScryptCost
from papi_backup.state.store import Store

LIST = "/papi/backup/storage/list"
REFUSED = (3004, "Authentication Error")
IDLE_SECONDS = 600
NOTICEABLE = ScryptCost(p=1)
"""A fifth of the real cost; without its work a refusal takes a hundredth of the time."""


def key_of(api: RunningApi, name: str = "ci", style: str = "key") -> dict[str, object]:
    return {style: name, "api_token": api.world.store.tokens.add(name, "administrator")[1].reveal()}


@pytest.mark.parametrize("style", ["key", "api_key"])
def test_a_token_opens_every_call_by_itself(api: RunningApi, style: str) -> None:
    token = key_of(api, style=style)
    for http_method in ("GET", "POST"):
        assert api.call(http_method, LIST, token, via="port").data
    assert api.send("POST", LIST, json.dumps(token).encode(), via="port").data
    reply = api.call("POST", "storage/del", token | {"storage_id": 3}, via="port")
    assert reply.data == "success"


def test_a_token_also_logs_in(api: RunningApi) -> None:
    reply = api.call("POST", "/papi/login", key_of(api), via="port")
    assert reply.data == "true"
    assert api.call("GET", LIST, via="port", cookie=reply.cookie).data


def test_a_tokens_value_is_no_password_and_its_name_no_account(api: RunningApi) -> None:
    value = key_of(api)["api_token"]
    for credentials in (
        {"username": "ci", "password": value},
        {"key": "ci", "api_token": "pbt_guess"},
        {"key": "ci", "api_token": ""},
        {"key": "admin", "api_token": value},
        {"key": "c\u0131", "api_token": value},
    ):
        assert api.call("POST", LIST, credentials, via="port").error == REFUSED


def test_a_revoked_token_and_the_sessions_it_opened_are_refused_at_once(api: RunningApi) -> None:
    token = key_of(api)
    cookie = api.call("GET", LIST, token, via="port").cookie
    assert cookie
    api.world.store.tokens.revoke("ci")
    assert api.call("GET", LIST, token, via="port").error == REFUSED
    assert api.call("GET", LIST, via="port", cookie=cookie).error == REFUSED


class Clock:
    """Tells the time it was set to."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> object:
        return self.now


@contextmanager
def api_of(directory: Path, clock: Clock, cost: ScryptCost = CHEAP) -> Iterator[RunningApi]:
    """Serve one account ``anna`` with the password ``secret``, on a clock that the test moves."""
    settings = Settings(directory / "state", "host.example", ApiSettings(listen="127.0.0.1:0"))
    with Store.open(
        settings.state_dir, clock=clock, session_idle_seconds=IDLE_SECONDS, password_cost=cost
    ) as store:
        store.accounts.add("anna", "administrator", Secret("secret"))
        queue, queries = FakeQueue(store), FakeQueries()
        services = Services.create(store, settings, queue, queries, clock=clock)
        server = ApiServer(settings, services, store.instance_id)
        server.start()
        try:
            world = World(store, settings, queue, queries, services)
            yield RunningApi(world, server, directory / "none.sock")
        finally:
            server.stop(5)


def test_a_session_that_is_used_lives_and_an_idle_one_ends(tmp_path: Path) -> None:
    clock = Clock()
    with api_of(tmp_path, clock) as api:
        cookie = api.login("anna")
        for _unused in range(4):
            clock.now += timedelta(seconds=IDLE_SECONDS - 60)
            assert api.call("GET", LIST, via="port", cookie=cookie).data == []
        clock.now += timedelta(seconds=IDLE_SECONDS + 1)
        assert api.call("GET", LIST, via="port", cookie=cookie).error == REFUSED
        clock.now -= timedelta(seconds=IDLE_SECONDS)
        assert api.call("GET", LIST, via="port", cookie=cookie).error == REFUSED


def test_a_logout_ends_one_session_and_leaves_the_others(tmp_path: Path) -> None:
    with api_of(tmp_path, Clock()) as api:
        ended, other = api.login("anna"), api.login("anna")
        assert api.call("POST", "/papi/logout", via="port", cookie=ended).data == "success"
        assert api.call("GET", LIST, via="port", cookie=ended).error == REFUSED
        assert api.call("GET", LIST, via="port", cookie=other).data == []


@pytest.mark.slow
def test_the_time_of_a_refusal_does_not_tell_whether_the_name_is_known(tmp_path: Path) -> None:
    with api_of(tmp_path, Clock(), NOTICEABLE) as api:
        api.world.store.tokens.add("ci", "viewer")
        seconds: dict[str, list[float]] = {"anna": [], "nobody": [], "ci": [], "no name": []}
        for _unused in range(9):
            for name, taken in seconds.items():
                started = time.perf_counter()
                reply = api.call("POST", "/papi/login", {"key": name, "api_token": "wrong"}, via="port")
                taken.append(time.perf_counter() - started)
                assert reply.error == REFUSED
        medians = {name: statistics.median(taken) for name, taken in seconds.items()}
        assert max(medians.values()) < 2 * min(medians.values()), medians
