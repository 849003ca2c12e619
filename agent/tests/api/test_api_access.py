# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets in, and what they may do there (docs/accounts.md)."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
from method_examples import EXAMPLES, Example
from running_api import RunningApi

from papi_backup.api.gate import cookie_token, session_cookie

RIGHT = {"username": "admin", "password": "secret"}
WRONG = {"username": "admin", "password": "wrong"}
LICENCE = {"api_key": "admin", "api_token": "secret"}
LICENCE_TOO = {"key": "admin", "api_token": "secret"}
AUTHENTICATION_ERROR = (3004, "Authentication Error")
CHANGES = [example for example in EXAMPLES if example.changes]
READS = [example for example in EXAMPLES if not example.changes]
LIST = "/papi/backup/storage/list"


@pytest.mark.parametrize("extension", ["", ".json", ".xml"])
@pytest.mark.parametrize("credentials", [RIGHT, LICENCE, LICENCE_TOO], ids=["account", "api_key", "key"])
def test_a_login_answers_true_and_its_cookie_opens_the_methods(
    unchanged_api: RunningApi, credentials: dict[str, str], extension: str
) -> None:
    path = f"/papi/login{extension}"
    encoded = urlencode(credentials).encode()
    form = "application/x-www-form-urlencoded"
    for reply in (
        unchanged_api.call("POST", path, credentials, via="port"),
        unchanged_api.call("GET", path, credentials, via="port"),
        unchanged_api.send("GET", path, encoded, via="port", content_type=form),
        unchanged_api.send("POST", path, json.dumps(credentials).encode(), via="port"),
    ):
        if extension == ".xml":
            assert (reply.xml.findtext("success"), reply.xml.findtext("data")) == ("1", "true")
        else:
            assert reply.body == b'{"success": 1, "data": "true"}'
        assert unchanged_api.call("GET", LIST, via="port", cookie=reply.cookie).data


def test_the_cookie_is_for_this_client_alone(unchanged_api: RunningApi) -> None:
    header = unchanged_api.call("POST", "/papi/login", RIGHT, via="port").headers["Set-Cookie"]
    name, separator, attributes = header.partition("; ")
    assert name.startswith("PHPSESSID=") and separator
    assert attributes == "Path=/; HttpOnly; SameSite=Strict"
    assert session_cookie("t", secure=True).endswith("; Secure")


@pytest.mark.parametrize("http_method", ["GET", "POST"])
def test_a_wrong_password_or_an_unknown_account_is_3004_and_sets_no_cookie(
    api: RunningApi, http_method: str
) -> None:
    for credentials in (WRONG, {"username": "nobody", "password": "secret"}, {"key": "x", "api_token": "y"}):
        reply = api.call(http_method, "/papi/login", credentials, via="port")
        assert reply.error == AUTHENTICATION_ERROR
        assert reply.cookie == ""


@pytest.mark.parametrize(
    ("fields", "missing"),
    [({}, "username"), ({"username": "admin"}, "password"), ({"password": "secret"}, "username")],
)
def test_a_login_without_credentials_names_what_is_missing(
    unchanged_api: RunningApi, fields: dict[str, str], missing: str
) -> None:
    for via in ("port", "socket"):
        error = unchanged_api.call("POST", "/papi/login", fields, via=via).error
        assert error == (3005, f"Missing required field '{missing}'.")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.method)
def test_without_a_session_every_method_is_3004_whatever_its_parameters(
    unchanged_api: RunningApi, example: Example
) -> None:
    for arguments in (example.arguments, {}):
        for cookie in ("", "PHPSESSID=", "PHPSESSID=0123456789", "other=1"):
            reply = unchanged_api.call("POST", example.path, arguments, via="port", cookie=cookie)
            assert reply.error == AUTHENTICATION_ERROR


@pytest.mark.parametrize("example", CHANGES + READS[:2], ids=lambda example: example.method)
def test_credentials_in_the_call_run_it_and_set_the_cookie_in_the_same_answer(
    busy_api: RunningApi, example: Example
) -> None:
    api = busy_api
    reply = api.call("POST", example.path, example.arguments | RIGHT, via="port")
    assert reply.envelope["success"] == 1
    assert api.call("GET", LIST, via="port", cookie=reply.cookie).data is not None


def test_wrong_credentials_in_the_call_stop_it_whoever_else_the_caller_is(api: RunningApi) -> None:
    before = api.world.contents()
    cookie = api.login("admin")
    fields = {"storage_id": 3} | WRONG
    for reply in (
        api.call("POST", "storage/del", fields),
        api.call("POST", "storage/del", fields, via="port", cookie=cookie),
    ):
        assert reply.error == AUTHENTICATION_ERROR
    assert api.world.contents() == before


MALFORMED: list[tuple[str, object]] = [
    *(
        (name, value)
        for name in ("username", "api_key", "key")
        for value in (["admin"], True, "x" * 257, "a\0")
    ),
    *((name, value) for name in ("password", "api_token") for value in (["planted"], {"planted": 1}, 1.5)),
    *((name, "planted" * 200) for name in ("password", "api_token")),
    *((name, "planted\0") for name in ("password", "api_token")),
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.method)
def test_malformed_credentials_are_named_by_every_method_without_them_and_change_nothing(
    unchanged_api: RunningApi, example: Example
) -> None:
    for name, value in MALFORMED:
        body = json.dumps(example.arguments | RIGHT | LICENCE | {name: value}).encode()
        reply = unchanged_api.send("POST", f"/papi/backup/{example.path}", body)
        code, text = reply.error
        assert (code, f"'{name}'" in text, "planted" in text) == (3005, True, False), text
        assert reply.cookie == ""
    different = urlencode(
        example.arguments | {"username": ["admin", "viewer"], "password": "secret"}, doseq=True
    )
    code, text = unchanged_api.send("POST", f"/papi/backup/{example.path}", different.encode()).error
    assert (code, "'username'" in text) == (3005, True)


def test_an_error_beyond_the_login_still_sets_the_cookie(unchanged_api: RunningApi) -> None:
    reply = unchanged_api.call("POST", "storage/test", RIGHT, via="port")
    assert reply.error[0] == 3005
    assert unchanged_api.call("GET", LIST, via="port", cookie=reply.cookie).data


@pytest.mark.parametrize("http_method", ["GET", "POST"])
def test_a_logout_ends_the_session_here_and_at_the_client(api: RunningApi, http_method: str) -> None:
    cookie = api.login("admin")
    reply = api.call(http_method, "/papi/logout", via="port", cookie=cookie)
    assert reply.data == "success"
    assert reply.cookie == "PHPSESSID=" and "Max-Age=0" in reply.headers["Set-Cookie"]
    assert api.call("GET", LIST, via="port", cookie=cookie).error == AUTHENTICATION_ERROR
    assert api.call(http_method, "/papi/logout", via="port").data == "success"


def test_a_removed_account_is_out_at_once(api: RunningApi) -> None:
    cookie = api.login("admin")
    api.world.store.accounts.remove("admin")
    assert api.call("GET", LIST, via="port", cookie=cookie).error == AUTHENTICATION_ERROR


@pytest.mark.parametrize("path", ["/papi/ping", "/papi/backup/ping"])
def test_ping_is_for_everybody(unchanged_api: RunningApi, path: str) -> None:
    for http_method in ("GET", "POST"):
        assert unchanged_api.call(http_method, path, via="port").data == "pong"
        assert unchanged_api.call(http_method, f"{path}.xml", via="port").xml.findtext("data") == "pong"


def test_the_version_is_for_those_who_are_known(unchanged_api: RunningApi) -> None:
    path = "/papi/backup/version"
    assert unchanged_api.call("GET", path, via="port").error == AUTHENTICATION_ERROR
    data = unchanged_api.call("GET", path, via="port", cookie=unchanged_api.login("viewer")).data
    assert isinstance(data, dict)
    assert set(data) == {"agent", "api", "format", "host_name", "instance_id", "state_lost"}
    assert data["state_lost"] is False
    assert (data["format"], data["host_name"]) == (1, "host.example")
    assert data["instance_id"] == unchanged_api.world.store.instance_id


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.method)
def test_a_viewer_reads_everything_and_changes_nothing(unchanged_api: RunningApi, example: Example) -> None:
    api = unchanged_api
    cookie = api.login("viewer")
    before = api.world.contents()
    for fields in (example.arguments, {} if example.changes else example.arguments, {"dry_run": 1}):
        reply = api.call("POST", example.path, example.arguments | fields, via="port", cookie=cookie)
        if example.changes:
            code, text = reply.error
            assert (code, text[:17]) == (3001, "Permission denied")
        else:
            assert reply.envelope["success"] == 1
    assert api.world.contents() == before


def test_secrets_are_for_administrators_and_masked_for_viewers(unchanged_api: RunningApi) -> None:
    paths = ("storage/list", "backup-config/list", "backup-config/get?backup_name=system")
    viewer, admin = unchanged_api.login("viewer"), unchanged_api.login("admin")
    for extension in ("", ".xml"):
        for path in paths:
            stem, question, query = path.partition("?")
            target = f"/papi/backup/{stem}{extension}{question}{query}"
            seen = unchanged_api.send("GET", target, via="port", cookie=viewer).body
            shown = unchanged_api.send("GET", target, via="port", cookie=admin).body
            assert b"the-key" not in seen and b"s3-secret" not in seen
            assert b"********" in seen and b"********" not in shown
            assert b"the-key" in shown or b"s3-secret" in shown
            assert b"private-key" not in shown


def test_guessing_is_slowed_down_before_anything_is_done(api: RunningApi) -> None:
    for _unused in range(10):
        assert api.call("POST", "/papi/login", WRONG, via="port").error == AUTHENTICATION_ERROR
    code, text = api.call("POST", "/papi/login", RIGHT, via="port").error
    assert (code, "try again in" in text) == (3014, True)
    assert api.call("POST", "storage/del", RIGHT | {"storage_id": 3}, via="port").error[0] == 3014
    assert api.world.store.storages.get(3)
    # Whoever comes another way is not held up.
    assert api.call("POST", "/papi/login", RIGHT).data == "true"


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("PHPSESSID=abc", "abc"),
        ('a=b; PHPSESSID="abc"; c=d', "abc"),
        ("XPHPSESSID=abc", ""),
        ("PHPSESSID", ""),
        ("PHPSESSID=a=b", "a=b"),
        (";;=;", ""),
    ],
)
def test_the_token_is_found_among_other_cookies(header: str, token: str) -> None:
    assert cookie_token(header) == token
