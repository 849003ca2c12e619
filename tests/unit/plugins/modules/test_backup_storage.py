# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""backup_storage, against a fake agent."""

from __future__ import annotations

import pytest

from ansible_collections.papi.backup.plugins.modules import backup_storage
from ansible_collections.papi.backup.tests.unit.fake_agent import MASK, run

SSH_ID = {"ssh_id_id": 7, "key_name": "vault", "key_length": 4096}
SSH = {
    "storage_id": 1,
    "storage_name": "vault",
    "type": "ssh",
    "username": "backup",
    "server_name": "vault.example.com",
    "ssh_port": 2222,
    "ssh_id": "vault",
    "ssh_id_id": 7,
    "storage_base": "/srv/backup",
    "host_key": "",
}
S3 = {
    "storage_id": 2,
    "storage_name": "bucket",
    "type": "s3",
    "aws_key_id": "AK",
    "aws_secret_key": "planted-secret",
    "bucket_name": "backups",
    "file_size": 64,
    "endpoint_url": "https://s3.example.com",
    "region": "",
    "prefix": "",
}
SSH_OPTIONS = {
    "storage_name": "vault",
    "type": "ssh",
    "server_name": "vault.example.com",
    "ssh_username": "backup",
    "ssh_id": "vault",
    "storage_base": "/srv/backup",
}
S3_OPTIONS = {
    "storage_name": "bucket",
    "type": "s3",
    "aws_key_id": "AK",
    "aws_secret_key": "planted-secret",
    "bucket_name": "backups",
}


def test_a_new_ssh_storage_is_added_with_the_id_of_its_ssh_id_and_the_usual_port(agent):
    agent.answer("storage/list", [], [SSH])
    agent.answer("ssh-id/list", [SSH_ID])
    agent.plan("storage/ssh/add", True, None, SSH)
    result = run(backup_storage, agent, **SSH_OPTIONS)
    sent = {
        "storage_name": "vault",
        "server_name": "vault.example.com",
        "ssh_port": 22,
        "ssh_username": "backup",
        "ssh_id_id": 7,
        "storage_base": "/srv/backup",
    }
    assert agent.dry_runs() == [("storage/ssh/add", sent)]
    assert agent.changes() == [("storage/ssh/add", sent)]
    assert result["changed"] is True
    assert result["storage"] == SSH
    assert result["diff"] == {"before": {}, "after": SSH}


def test_check_mode_asks_the_agent_and_changes_nothing(agent):
    agent.answer("ssh-id/list", [SSH_ID])
    agent.plan("storage/ssh/add", True, None, {"storage_name": "vault"})
    result = run(backup_storage, agent, check_mode=True, **SSH_OPTIONS)
    assert agent.changes() == []
    assert result["changed"] is True
    assert result["storage"] == {"storage_name": "vault"}


def test_what_the_agent_finds_unchanged_is_not_sent_again(agent):
    agent.answer("storage/list", [S3])
    agent.plan("storage/s3/edit", False, S3, S3)
    result = run(backup_storage, agent, **S3_OPTIONS)
    assert agent.changes() == []
    assert result["changed"] is False


def test_an_edit_repeats_the_documented_parameters_that_are_not_given(agent):
    agent.answer("storage/list", [SSH])
    agent.plan("storage/ssh/edit", True, SSH, SSH)
    run(backup_storage, agent, storage_name="vault", type="ssh", server_name="new.example.com")
    assert agent.changes() == [
        (
            "storage/ssh/edit",
            {
                "storage_id": 1,
                "storage_name": "vault",
                "server_name": "new.example.com",
                "ssh_port": 2222,
                "ssh_username": "backup",
                "ssh_id_id": 7,
                "storage_base": "/srv/backup",
            },
        )
    ]


def test_an_edit_without_a_secret_leaves_the_secret_out(agent):
    agent.answer("storage/list", [S3])
    agent.plan("storage/s3/edit", True, S3, S3)
    run(backup_storage, agent, storage_name="bucket", type="s3", region="eu-south-1")
    assert agent.changes() == [
        (
            "storage/s3/edit",
            {
                "storage_id": 2,
                "storage_name": "bucket",
                "aws_key_id": "AK",
                "bucket_name": "backups",
                "file_size": 64,
                "region": "eu-south-1",
            },
        )
    ]


def test_secrets_appear_neither_in_the_result_nor_in_the_diff(agent):
    agent.answer("storage/list", [S3])
    flagged = dict(S3, aws_secret_key=MASK + " (different)")
    agent.plan("storage/s3/edit", True, dict(S3), flagged)
    result = run(backup_storage, agent, storage_name="bucket", type="s3", aws_secret_key="another-planted-secret")
    assert "planted-secret" not in repr(result)
    assert result["storage"]["aws_secret_key"] == MASK
    assert result["diff"]["before"]["aws_secret_key"] == MASK
    assert result["diff"]["after"]["aws_secret_key"] == MASK + " (different)"


def test_a_change_of_type_is_refused(agent):
    agent.answer("storage/list", [dict(S3, storage_name="vault")])
    result = run(backup_storage, agent, **SSH_OPTIONS)
    assert result["failed"] is True
    assert result["msg"] == (
        "Could not change the storage 'vault': it is of type s3 and cannot become ssh. "
        "Remove it first, or choose another name."
    )
    assert agent.changes() == []


@pytest.mark.parametrize(
    "options, named",
    [
        (dict(SSH_OPTIONS, bucket_name="backups"), "a storage of type ssh has no bucket_name; that belongs to type s3."),
        (dict(S3_OPTIONS, ssh_port=22), "a storage of type s3 has no ssh_port; that belongs to type ssh."),
    ],
)
def test_an_option_of_the_other_type_is_refused(agent, options, named):
    result = run(backup_storage, agent, **options)
    assert result["failed"] is True
    assert named in result["msg"]


def test_an_ssh_id_that_does_not_exist_is_named(agent):
    result = run(backup_storage, agent, **SSH_OPTIONS)
    assert result["msg"] == "Could not add the storage 'vault': there is no SSH id 'vault'."


def test_in_check_mode_an_ssh_id_may_be_about_to_exist(agent):
    result = run(backup_storage, agent, check_mode=True, **SSH_OPTIONS)
    assert result["changed"] is True
    assert result["storage"]["ssh_id"] == "vault"
    assert "The SSH id 'vault' does not exist yet" in repr(result["warnings"])


def test_the_agents_refusal_comes_through_with_its_words_code_and_name(agent):
    agent.refuse("storage/s3/add", 3005, "Missing required field 'bucket_name'.", dry_run=True)
    result = run(backup_storage, agent, storage_name="bucket", type="s3")
    assert result["failed"] is True
    assert result["msg"] == (
        "Could not add the storage 'bucket': Missing required field 'bucket_name'. (error 3005 INVALID_PARAMETER)"
    )
    assert (result["error_code"], result["error_name"]) == (3005, "INVALID_PARAMETER")


def test_removing_a_storage_removes_it_by_its_id(agent):
    agent.answer("storage/list", [SSH])
    agent.plan("storage/del", True, SSH, None)
    result = run(backup_storage, agent, storage_name="vault", state="absent")
    assert agent.changes() == [("storage/del", {"storage_id": 1})]
    assert result["diff"] == {"before": SSH, "after": {}}


def test_removing_what_is_not_there_changes_nothing(agent):
    result = run(backup_storage, agent, storage_name="vault", state="absent")
    assert result["changed"] is False
    assert agent.changes() == []


def test_a_storage_in_use_is_not_removed_even_in_check_mode(agent):
    agent.answer("storage/list", [SSH])
    agent.refuse("storage/del", 3005, "It is used by the backup configuration 'system'.", dry_run=True)
    for check_mode in (True, False):
        result = run(backup_storage, agent, check_mode=check_mode, storage_name="vault", state="absent")
        assert result["failed"] is True
        assert "used by the backup configuration 'system'" in result["msg"]
    assert agent.changes() == []


USERS = [
    {"backup_id": 5, "backup_name": "system", "storage_name": "vault"},
    {"backup_id": 6, "backup_name": "other", "storage_name": "elsewhere"},
    {"backup_id": 7, "backup_name": "dumps", "storage_name": "vault"},
]


def test_if_told_so_the_configurations_that_use_it_are_removed_before_it(agent):
    agent.answer("storage/list", [SSH])
    agent.answer("backup-config/list", USERS)
    agent.plan("backup-config/del", True, USERS[0], None)
    agent.plan("storage/del", True, SSH, None)
    result = run(backup_storage, agent, storage_name="vault", state="absent", remove_configs=True)
    assert agent.changes() == [
        ("backup-config/del", {"backup_id": 5}),
        ("backup-config/del", {"backup_id": 7}),
        ("storage/del", {"storage_id": 1}),
    ]
    assert result["removed_configs"] == ["system", "dumps"]
    assert result["diff"] == {"before": dict(SSH, configs=["system", "dumps"]), "after": {}}


def test_check_mode_predicts_the_same_and_removes_nothing(agent):
    agent.answer("storage/list", [SSH])
    agent.answer("backup-config/list", USERS)
    agent.plan("backup-config/del", True, USERS[0], None)
    agent.refuse("storage/del", 3005, "It is used by the backup configuration 'system'.", dry_run=True)
    result = run(backup_storage, agent, check_mode=True, storage_name="vault", state="absent", remove_configs=True)
    assert agent.changes() == []
    assert (result["changed"], result["removed_configs"]) == (True, ["system", "dumps"])
    assert result["diff"] == {"before": dict(SSH, configs=["system", "dumps"]), "after": {}}


def test_a_storage_that_nobody_uses_or_that_is_not_there_takes_nothing_along(agent):
    assert run(backup_storage, agent, storage_name="vault", state="absent", remove_configs=True)["changed"] is False
    agent.answer("storage/list", [SSH])
    agent.plan("storage/del", True, SSH, None)
    result = run(backup_storage, agent, storage_name="vault", state="absent", remove_configs=True)
    assert agent.changes() == [("storage/del", {"storage_id": 1})]
    assert (result["removed_configs"], result["diff"]) == ([], {"before": SSH, "after": {}})


def test_a_failed_test_of_the_storage_fails_the_task_and_still_returns_it(agent):
    agent.answer("storage/list", [SSH])
    agent.plan("storage/ssh/edit", False, SSH, SSH)
    agent.refuse("storage/test", 4001, "write: no space left on device")
    result = run(backup_storage, agent, storage_name="vault", type="ssh", test=True)
    assert result["failed"] is True
    assert result["error_code"] == 4001
    assert result["msg"].startswith("Could not use the storage 'vault': its test failed: write: no space left")
    assert result["storage"] == SSH


def test_a_host_key_that_a_test_pins_is_a_change(agent):
    pinned = dict(SSH, host_key="ssh-ed25519 AAAA")
    agent.answer("storage/list", [SSH], [SSH], [pinned])
    agent.plan("storage/ssh/edit", False, SSH, SSH)
    agent.answer("storage/test", "success")
    result = run(backup_storage, agent, storage_name="vault", type="ssh", test=True)
    assert result["changed"] is True
    assert result["storage"] == pinned
    assert result["diff"] == {"before": SSH, "after": pinned}


def test_a_storage_is_not_tested_in_check_mode(agent):
    agent.answer("storage/list", [SSH])
    agent.plan("storage/ssh/edit", False, SSH, SSH)
    run(backup_storage, agent, check_mode=True, storage_name="vault", type="ssh", test=True)
    assert "storage/test" not in [call.path for call in agent.calls]


def test_a_present_storage_needs_a_type(agent):
    result = run(backup_storage, agent, storage_name="vault")
    assert result["msg"] == "state is present but all of the following are missing: type"
