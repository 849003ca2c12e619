# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client layer: transports, session, waiting, and what a user reads when the agent cannot be reached."""

from __future__ import annotations

import os
import socket

import pytest

from ansible_collections.papi.backup.plugins.modules import backup_storage_info
from ansible_collections.papi.backup.plugins.module_utils._client import Client, masked
from ansible_collections.papi.backup.plugins.module_utils._connection import UnixSocketTransport, UrlTransport
from ansible_collections.papi.backup.plugins.module_utils._errors import AgentError, ConnectionFailure
from ansible_collections.papi.backup.plugins.module_utils._waiter import PATIENCE_SECONDS, Waiter
from ansible_collections.papi.backup.tests.unit.fake_agent import MASK, refusal, run, success

LOGIN = "/papi/login"


@pytest.fixture
def client(agent):
    return Client(UnixSocketTransport(agent.socket_path, 5), {}, check_mode=False)


@pytest.fixture
def account_client(agent):
    credentials = {"username": "ops", "password": "planted-secret"}
    return Client(UrlTransport(agent.url, 5), credentials, check_mode=False)


def test_a_socket_that_does_not_exist_says_so_and_how_to_mend_it(agent):
    result = run(backup_storage_info, agent, agent_socket="/nowhere/agent.sock")
    assert result["failed"] is True
    assert "the agent's socket /nowhere/agent.sock does not exist. Is the agent running?" in result["msg"]


def test_a_socket_nobody_listens_on_says_so(agent):
    stale = agent.socket_path + ".stale"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(stale)
    listener.close()
    assert os.path.exists(stale)
    result = run(backup_storage_info, agent, agent_socket=stale)
    assert "nobody listens on the agent's socket" in result["msg"]
    assert "journalctl -u papi-backup-agent" in result["msg"]


def test_a_user_who_may_not_use_the_socket_is_told_to_become_another(agent):
    class Denied(UnixSocketTransport):
        def _explain(self, error):
            return super()._explain(PermissionError(13, "Permission denied"))

    with pytest.raises(ConnectionFailure, match="this user is not permitted to use .*become: true"):
        Denied("/nowhere/agent.sock", 1).send("GET", "/", {}, None)


def test_an_agent_that_never_answers_is_given_up_after_the_timeout(agent):
    silent = agent.socket_path + ".silent"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(silent)
        listener.listen(1)
        result = run(backup_storage_info, agent, agent_socket=silent, agent_timeout=1)
    assert "did not answer within 1 s" in result["msg"]


@pytest.mark.parametrize(
    "url, words",
    [
        ("http://127.0.0.1:1", "nobody listens at the agent at http://127.0.0.1:1"),
        ("http://agent.invalid:8480", "does not resolve"),
        ("ftp://agent.invalid", "agent_url must start with https:// or http://"),
    ],
)
def test_a_url_that_cannot_be_reached_is_named_with_its_reason(agent, url, words):
    assert words in run(backup_storage_info, agent, agent_url=url)["msg"]


def test_https_to_a_plain_port_is_explained(agent):
    result = run(backup_storage_info, agent, agent_url=agent.url.replace("http:", "https:"))
    assert "no TLS connection to the agent at https://127.0.0.1" in result["msg"]


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"", b"[1, 2]", b'{"data": 1}', b'{"success": 0}'])
def test_what_is_no_answer_of_the_api_is_not_taken_for_one(agent, client, body):
    agent.reply("storage/list", body)
    with pytest.raises(ConnectionFailure, match="HTTP 200 and no answer of the Backup API"):
        client.query("storage/list")


def test_an_error_envelope_counts_whatever_the_http_status(agent, account_client):
    agent.reply(LOGIN, dict(success("true"), cookie="one"))
    agent.reply("storage/list", dict(refusal(3015, "crashed"), status=500))
    with pytest.raises(AgentError) as caught:
        account_client.query("storage/list")
    assert (caught.value.code, caught.value.name) == (3015, "HOSTED_BACKEND_UNAVAILABLE")


def test_the_socket_needs_no_login(agent, client):
    assert client.query("storage/list") == []
    assert [call.path for call in agent.calls] == ["storage/list"]


def test_an_account_logs_in_once_and_keeps_its_session(agent, account_client):
    agent.reply(LOGIN, dict(success("true"), cookie="one"))
    account_client.query("storage/list")
    account_client.query("storage/list")
    assert [call.path for call in agent.calls] == [LOGIN, "storage/list", "storage/list"]
    assert [call.cookie for call in agent.calls[1:]] == ["PHPSESSID=one"] * 2


def test_a_session_that_has_ended_is_renewed_once(agent, account_client):
    agent.reply(LOGIN, dict(success("true"), cookie="one"), dict(success("true"), cookie="two"))
    agent.reply("storage/list", success([]), refusal(3004, "Authentication Error"), success([]))
    account_client.query("storage/list")
    assert account_client.query("storage/list") == []
    assert [call.cookie for call in agent.calls if call.path == "storage/list"][-1] == "PHPSESSID=two"


def test_a_refusal_right_after_the_login_is_final(agent, account_client):
    agent.reply(LOGIN, dict(success("true"), cookie="one"))
    agent.refuse("storage/list", 3001, "Permission denied")
    with pytest.raises(AgentError):
        account_client.query("storage/list")
    assert [call.path for call in agent.calls] == [LOGIN, "storage/list"]


def test_a_refused_login_carries_the_agents_words_and_no_password(agent):
    agent.refuse(LOGIN, 3004, "Authentication Error")
    result = run(backup_storage_info, agent, agent_url=agent.url, agent_username="ops", agent_password="planted-secret")
    assert result["error_name"] == "AUTHENTICATION_ERROR"
    assert "planted-secret" not in repr(result)


def test_who_is_not_known_is_told_how_to_log_in(agent):
    agent.refuse("storage/list", 3004, "Authentication Error")
    by_socket = run(backup_storage_info, agent)
    by_url = run(backup_storage_info, agent, agent_url=agent.url)
    assert "Authentication Error. Use 'become: true', or give agent_username" in by_socket["msg"]
    assert "Authentication Error. Give agent_username and agent_password." in by_url["msg"]


def test_a_token_logs_in_in_the_licence_style(agent):
    agent.reply(LOGIN, dict(success("true"), cookie="one"))
    run(backup_storage_info, agent, agent_url=agent.url, agent_username="ops", agent_token="planted-secret")
    assert agent.calls[0].params == {"api_key": "ops", "api_token": "planted-secret"}


def test_a_redirect_is_not_followed(agent):
    agent.reply("storage/list", {"status": 302})
    result = run(backup_storage_info, agent, agent_url=agent.url)
    assert "HTTP 302" in result["msg"]


def test_no_change_leaves_a_client_in_check_mode(agent):
    client = Client(UnixSocketTransport(agent.socket_path, 5), {}, check_mode=True)
    with pytest.raises(AssertionError):
        client.change("storage/del", {"storage_id": 1})
    assert agent.calls == []


def test_a_change_whose_answer_got_lost_is_not_repeated_blindly(agent, client):
    agent.reply("storage/del", None)
    with pytest.raises(ConnectionFailure):
        client.change("storage/del", {"storage_id": 1})
    assert len(agent.calls) == 1


def test_an_agent_without_dry_runs_is_named_as_too_old(agent, client):
    agent.reply("storage/del", success("success"), dry_run=True)
    with pytest.raises(ConnectionFailure, match="does not know dry runs"):
        client.plan_change("storage/del", {"storage_id": 1})


def test_environment_variables_stand_in_for_options(agent, monkeypatch):
    monkeypatch.setenv("PAPI_BACKUP_URL", agent.url)
    result = run(backup_storage_info, agent, agent_socket="/nowhere")
    assert result["storages"] == []


@pytest.mark.parametrize(
    "data, shown",
    [
        ({"encryption_key": "k"}, {"encryption_key": MASK}),
        ({"encryption_key": ""}, {"encryption_key": ""}),
        ({"aws_secret_key": MASK + " (same)"}, {"aws_secret_key": MASK + " (same)"}),
        ([{"config": {"encryption_key": "k"}}], [{"config": {"encryption_key": MASK}}]),
        ({"encryption_key": None}, {"encryption_key": None}),
    ],
)
def test_secrets_are_masked_at_any_depth_and_flags_stay(data, shown):
    assert masked(data) == shown


def test_a_secret_that_looks_like_a_mask_is_masked_and_flags_can_go():
    assert masked({"encryption_key": MASK + "rest"}) == {"encryption_key": MASK}
    assert masked({"encryption_key": MASK + " (same)"}, keep_flags=False) == {"encryption_key": MASK}


class Time:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now = 0.0
        self.sleeps = []

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.sleeps.append(seconds)
        self.now += seconds


def looker(*answers):
    """Return a look() that gives these job states, raises those that are errors, and stays at the last."""
    left = list(answers)

    def look():
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return {"job_status": answer}

    return look


def test_waiting_looks_more_and_more_rarely_up_to_the_longest_sleep():
    time = Time()
    Waiter(0, 1, time.clock, time.sleep).wait(looker(*(["running"] * 10 + ["success"])))
    assert time.sleeps == sorted(time.sleeps)
    assert time.sleeps[0] < 0.5
    assert time.sleeps[-1] == 1


def test_without_a_limit_waiting_outlasts_any_job():
    time = Time()
    assert Waiter(0, 60, time.clock, time.sleep).wait(looker(*(["running"] * 5000 + ["failed"]))) == {"job_status": "failed"}


def test_a_timeout_returns_the_job_as_last_seen_and_no_later_than_asked():
    time = Time()
    assert Waiter(7, 5, time.clock, time.sleep).wait(looker("running")) == {"job_status": "running"}
    assert time.now == pytest.approx(7, abs=0.2)


def test_an_agent_that_stays_away_is_given_up_after_some_patience():
    time = Time()
    with pytest.raises(ConnectionFailure):
        Waiter(0, 5, time.clock, time.sleep).wait(looker("running", ConnectionFailure("gone")))
    assert PATIENCE_SECONDS < time.now < PATIENCE_SECONDS + 10
