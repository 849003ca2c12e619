# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A page of somebody else cannot make a browser use its cookie; what is no browser notices nothing."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Iterator
from urllib.parse import urlencode

import pytest
from method_examples import EXAMPLES, Example
from running_api import RunningApi, running_api
from starlette.datastructures import Headers

from papi_backup.api.origins import AllowedOrigins, PageOrigin, page_origin
from papi_backup.model.origin import normal_origin

Sent = tuple[tuple[str, str], ...]
OWN = "http://agent.example:8480"
PROXY = "https://backup.example.com"
FORM = ("Content-Type", "application/x-www-form-urlencoded")
RIGHT = {"username": "admin", "password": "secret"}

FOREIGN: dict[str, Sent] = {
    "another port of the same host": (("Origin", "http://agent.example:8481"),),
    "another scheme": (("Origin", "https://agent.example:8480"),),
    "another host": (("Origin", "http://evil.example:8480"),),
    "a host that begins with ours": (("Origin", "http://agent.example.evil.example:8480"),),
    "no origin, as of a sandboxed page": (("Origin", "null"),),
    "an empty origin": (("Origin", ""),),
    "something that is no origin": (("Origin", "agent.example:8480"),),
    "two origins": (("Origin", OWN), ("Origin", "http://evil.example")),
    "two in one line": (("Origin", f"{OWN} http://evil.example"),),
    "a path behind ours": (("Origin", f"{OWN}/papi"),),
    "a name before ours": (("Origin", "http://agent.example@evil.example:8480"),),
    "the same site": (("Sec-Fetch-Site", "same-site"),),
    "another site": (("Sec-Fetch-Site", "cross-site"),),
    "an unknown kind of site": (("Sec-Fetch-Site", "new"),),
    "our origin by another site": (("Origin", OWN), ("Sec-Fetch-Site", "cross-site")),
    "another origin by our site": (("Origin", "http://evil.example"), ("Sec-Fetch-Site", "same-origin")),
    "both sites": (("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")),
}

OURS: dict[str, Sent] = {
    "neither header": (),
    "our origin": (("Origin", OWN),),
    "in capitals": (("Origin", "HTTP://AGENT.EXAMPLE:8480"),),
    "and the browser agrees": (("Origin", OWN), ("Sec-Fetch-Site", "same-origin")),
    "a bookmark": (("Sec-Fetch-Site", "none"),),
    "the proxy's": (("Origin", PROXY), ("Sec-Fetch-Site", "same-origin")),
    "the proxy's with its port": (("Origin", f"{PROXY}:443"),),
    "the proxy's by another site": (("Origin", PROXY), ("Sec-Fetch-Site", "cross-site")),
}


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    directory = tmp_path_factory.mktemp("proxied")
    with running_api(directory, allowed_origins=(normal_origin(PROXY),)) as api:
        api.world.add_job()
        yield api


def answer(
    api: RunningApi,
    method: str,
    path: str,
    headers: Iterable[tuple[str, str]],
    body: bytes = b"",
    *,
    via: str = "port",
) -> dict[str, object]:
    """Send headers as they are, repeated ones too."""
    connection: http.client.HTTPConnection = api.connection(via)
    connection.putrequest(method, path, skip_host=True)
    for name, value in (("Host", "agent.example:8480"), ("Content-Length", str(len(body))), *headers):
        connection.putheader(name, value)
    connection.endheaders(body)
    envelope: dict[str, object] = json.loads(connection.getresponse().read())
    return envelope


@pytest.mark.parametrize("what", FOREIGN)
def test_a_foreign_page_is_refused_whatever_the_method_and_nothing_changes(
    proxied: RunningApi, what: str
) -> None:
    cookie = ("Cookie", proxied.login("admin"))
    before = proxied.world.contents()
    for method, path, body in (
        ("GET", "/papi/backup/storage/list", b""),
        ("POST", "/papi/backup/storage/del", b"storage_id=3"),
        ("POST", "/papi/backup/storage/del", b'{"storage_id": 3}'),
        ("POST", "/papi/logout", b""),
    ):
        for content_type in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data"):
            found = answer(
                proxied, method, path, [cookie, ("Content-Type", content_type), *FOREIGN[what]], body
            )
            assert (found["success"], found.get("error_code")) == (0, 3001), found
            assert "allowed_origins" in str(found["error"])
    assert proxied.world.contents() == before
    assert answer(proxied, "GET", "/papi/backup/storage/list", [cookie])["success"] == 1


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.method)
def test_every_method_refuses_one(proxied: RunningApi, example: Example) -> None:
    cookie = ("Cookie", proxied.login("admin"))
    body = urlencode(example.arguments, doseq=True).encode()
    headers = [cookie, FORM, ("Origin", "http://evil.example")]
    found = answer(proxied, "POST", f"/papi/backup/{example.path}", headers, body)
    assert (found["success"], found["error_code"]) == (0, 3001)


@pytest.mark.parametrize("what", OURS)
def test_pages_of_our_own_and_clients_that_tell_nothing_are_served(proxied: RunningApi, what: str) -> None:
    cookie = ("Cookie", proxied.login("admin"))
    assert answer(proxied, "GET", "/papi/backup/storage/list", [cookie, *OURS[what]])["success"] == 1


def test_credentials_a_token_and_a_peer_count_whatever_page_sends_them(proxied: RunningApi) -> None:
    token = proxied.world.store.tokens.add("ci", "viewer")[1].reveal()
    cookie = ("Cookie", proxied.login("admin"))
    foreign = [FORM, ("Origin", "http://evil.example"), ("Sec-Fetch-Site", "cross-site")]
    for fields in (RIGHT, {"key": "ci", "api_token": token}):
        body = urlencode(fields).encode()
        for headers in (foreign, [cookie, *foreign]):
            assert answer(proxied, "POST", "/papi/backup/storage/list", headers, body)["success"] == 1
    # Nobody needs a cookie to be root at the socket, and no page of a browser gets there.
    for headers in (foreign, [cookie, *foreign]):
        assert answer(proxied, "GET", "/papi/backup/storage/list", headers, via="socket")["success"] == 1


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("http://a.example", "http://a.example:80"),
        ("https://A.Example", "https://a.example:443"),
        ("https://a.example:443", "https://a.example:443"),
        ("http://[::1]:8480", "http://[::1]:8480"),
        ("http://[0:0:0:0:0:0:0:1]", "http://[::1]:80"),
        ("http://127.0.0.1:80", "http://127.0.0.1:80"),
        *((bad, "") for bad in ("", "null", "a.example", "//a.example", "file:///a", "ftp://a.example")),
        *(
            (f"http://{bad}", "")
            for bad in ("", ":80", "a:0", "a:70000", "a:b", "u@a", "u:p@a", "a/", "a?b", "a?")
        ),
        *((f"http://{bad}", "") for bad in ("a#b", "a b", "[::1", "a\\b", "a,b")),
    ],
)
def test_origins_are_compared_in_one_way_of_writing(given: str, normal: str) -> None:
    assert normal_origin(given) == normal


def test_a_request_without_a_host_or_with_two_has_no_origin_of_its_own() -> None:
    allowed = AllowedOrigins()
    for hosts in ([], ["agent.example:8480", "evil.example"], ["a b"]):
        raw = [(b"host", host.encode()) for host in hosts] + [(b"origin", OWN.encode())]
        page = page_origin(Headers(raw=raw), "http")
        assert page.own == "" and allowed.refusal(page)
    assert allowed.refusal(PageOrigin()) == ""
