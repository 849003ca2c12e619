# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""backup_ssh_id, against a fake agent."""

from __future__ import annotations

import pytest

from ansible_collections.papi.backup.plugins.modules import backup_ssh_id
from ansible_collections.papi.backup.tests.unit.fake_agent import run

SSH_ID = {"ssh_id_id": 7, "key_name": "vault", "key_length": 3072}
PUBLIC = {"pub_key": "ssh-rsa AAAA root@db1"}


def test_a_new_ssh_id_is_generated_and_its_public_key_returned(agent):
    agent.answer("ssh-id/list", [], [SSH_ID])
    agent.answer("ssh-id/get-pub", PUBLIC)
    agent.plan("ssh-id/new", True, None, {"key_name": "vault", "key_length": 3072})
    result = run(backup_ssh_id, agent, key_name="vault")
    assert agent.changes() == [("ssh-id/new", {"key_name": "vault", "key_length": 3072})]
    assert result["changed"] is True
    assert result["ssh_id"] == SSH_ID
    assert result["public_key"] == "ssh-rsa AAAA root@db1"


def test_in_check_mode_a_key_that_does_not_exist_yet_has_no_public_key(agent):
    agent.plan("ssh-id/new", True, None, {"key_name": "vault", "key_length": 2048})
    result = run(backup_ssh_id, agent, check_mode=True, key_name="vault", key_length=2048)
    assert agent.changes() == []
    assert result["changed"] is True
    assert result["public_key"] is None
    assert result["ssh_id"] == {"key_name": "vault", "key_length": 2048}


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize(
    "options", [{}, {"key_length": 3072}, {"key_length": 3840, "regenerate": "never"}, {"regenerate": "mismatch"}]
)
def test_a_key_that_may_stay_stays_and_is_returned(agent, check_mode, options):
    agent.answer("ssh-id/list", [SSH_ID])
    agent.answer("ssh-id/get-pub", PUBLIC)
    result = run(backup_ssh_id, agent, check_mode=check_mode, key_name="vault", **options)
    assert result["changed"] is False
    assert result["public_key"] == PUBLIC["pub_key"]
    assert agent.changes() == []


def test_another_length_is_refused_unless_a_policy_says_what_to_do(agent):
    agent.answer("ssh-id/list", [SSH_ID])
    result = run(backup_ssh_id, agent, key_name="vault", key_length=3840)
    assert result["failed"] is True
    assert "it has 3072 bits, not 3840. regenerate=mismatch makes a new key" in result["msg"]


@pytest.mark.parametrize(
    "options, length",
    [
        ({"key_length": 3840, "regenerate": "mismatch"}, 3840),
        ({"regenerate": "always"}, 3072),
        ({"key_length": 3840, "regenerate": "always"}, 3840),
    ],
)
def test_a_regenerated_key_is_validated_before_the_old_one_goes(agent, options, length):
    agent.answer("ssh-id/list", [SSH_ID], [dict(SSH_ID, ssh_id_id=8, key_length=length)])
    agent.answer("ssh-id/get-pub", PUBLIC)
    agent.plan("ssh-id/del", True, SSH_ID, None)
    agent.plan("ssh-id/new", True, None, {})
    result = run(backup_ssh_id, agent, key_name="vault", **options)
    assert agent.dry_runs()[0][0] == "ssh-id/new"
    assert agent.changes() == [
        ("ssh-id/del", {"ssh_id_id": 7}),
        ("ssh-id/new", {"key_name": "vault", "key_length": length}),
    ]
    assert result["ssh_id"]["ssh_id_id"] == 8
    assert result["diff"] == {"before": SSH_ID, "after": {"key_name": "vault", "key_length": length}}


def test_a_length_the_agent_refuses_costs_no_key(agent):
    agent.answer("ssh-id/list", [SSH_ID])
    agent.plan("ssh-id/del", True, SSH_ID, None)
    agent.refuse("ssh-id/new", 3005, "key_length: RSA keys have 2048 to 4096 bits", dry_run=True)
    result = run(backup_ssh_id, agent, key_name="vault", key_length=12, regenerate="mismatch")
    assert result["error_code"] == 3005
    assert agent.changes() == []


def test_regenerating_in_check_mode_changes_nothing(agent):
    agent.answer("ssh-id/list", [SSH_ID])
    agent.plan("ssh-id/del", True, SSH_ID, None)
    agent.plan("ssh-id/new", True, None, {})
    result = run(backup_ssh_id, agent, check_mode=True, key_name="vault", regenerate="always")
    assert agent.changes() == []
    assert result["changed"] is True
    assert result["public_key"] is None


def test_removing_removes_by_id_and_only_what_is_there(agent):
    agent.answer("ssh-id/list", [SSH_ID])
    agent.plan("ssh-id/del", True, SSH_ID, None)
    assert run(backup_ssh_id, agent, key_name="vault", state="absent")["changed"] is True
    assert agent.changes() == [("ssh-id/del", {"ssh_id_id": 7})]
    assert run(backup_ssh_id, agent, key_name="other", state="absent")["changed"] is False
