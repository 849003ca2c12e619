# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""backup_config, against a fake agent."""

from __future__ import annotations

from ansible_collections.papi.backup.plugins.modules import backup_config
from ansible_collections.papi.backup.tests.unit.fake_agent import MASK, run

STORAGE = {"storage_id": 3, "storage_name": "vault", "type": "ssh"}
NONE = {"period": "deactivated", "frequency": 1, "time_list": [], "day_run": [], "time_run": []}
# As the API answers: two of the lists as text, and two deprecated fields.
ANSWERED_DAILY = {
    "period": "daily",
    "frequency": 1,
    "time_list": [],
    "day_run": "",
    "time_run": "2",
    "backup_type": "full",
    "template": "",
}
ANSWERED_NONE = {"period": "deactivated", "frequency": 1, "time_list": [], "day_run": "", "time_run": ""}
DAILY = {"period": "daily", "frequency": 1, "time_list": [], "day_run": [], "time_run": [2]}
CONFIG = {
    "backup_id": 5,
    "backup_name": "system",
    "storage_name": "vault",
    "encryption_key": "planted-secret",
    "paths": ["/etc"],
    "excludes": [],
}
FLAT = dict(CONFIG, encryption_key=MASK, full=DAILY, inc=NONE)


def schedule(kind, fields):
    return {"schedule_{0}_{1}".format(kind, name): value for name, value in fields.items()}


def knows(agent):
    agent.answer("storage/list", [STORAGE])
    agent.answer("backup-config/get", {"config": CONFIG, "full": ANSWERED_DAILY, "inc": ANSWERED_NONE})


def test_a_new_configuration_is_added_with_typed_lists_and_the_storages_id(agent):
    agent.answer("storage/list", [STORAGE])
    missing = {"success": 0, "error_code": 3007, "error": "no such backup configuration"}
    found = {"success": 1, "data": {"config": CONFIG, "full": ANSWERED_DAILY, "inc": ANSWERED_NONE}}
    agent.reply("backup-config/get", missing, found)
    agent.plan("backup-config/add", True, None, FLAT)
    result = run(
        backup_config,
        agent,
        backup_name="system",
        storage_name="vault",
        encryption_key="planted-secret",
        paths=["/etc"],
        full={"period": "daily", "time_run": ["2"]},
    )
    sent = {"backup_name": "system", "storage_id": 3, "encryption_key": "planted-secret", "paths": ["/etc"]}
    sent.update(schedule("full", DAILY))
    sent.update(schedule("inc", NONE))
    assert agent.changes() == [("backup-config/add", sent)]
    assert result["changed"] is True
    assert result["config"] == FLAT
    assert "planted-secret" not in repr(result)


def test_an_edit_repeats_the_schedules_and_leaves_out_what_the_agent_keeps(agent):
    knows(agent)
    agent.plan("backup-config/edit", True, FLAT, FLAT)
    run(backup_config, agent, backup_name="system", excludes=["*.tmp"])
    sent = {"backup_id": 5, "backup_name": "system", "storage_id": 3, "excludes": ["*.tmp"]}
    sent.update(schedule("full", DAILY))
    sent.update(schedule("inc", NONE))
    assert agent.changes() == [("backup-config/edit", sent)]


def test_a_given_schedule_replaces_the_whole_schedule(agent):
    knows(agent)
    agent.plan("backup-config/edit", True, FLAT, FLAT)
    run(backup_config, agent, backup_name="system", full={"period": "weekly", "time_list": [0, 3]})
    sent = agent.changes()[0][1]
    assert sent["schedule_full_time_list"] == [0, 3]
    assert sent["schedule_full_time_run"] == []


def test_an_empty_key_is_sent_so_that_encryption_ends(agent):
    knows(agent)
    agent.plan("backup-config/edit", True, FLAT, dict(FLAT, encryption_key=""))
    run(backup_config, agent, backup_name="system", encryption_key="")
    assert agent.changes()[0][1]["encryption_key"] == ""


def test_what_the_agent_finds_unchanged_is_not_sent_again(agent):
    knows(agent)
    agent.plan("backup-config/edit", False, FLAT, FLAT)
    result = run(backup_config, agent, backup_name="system", encryption_key="planted-secret")
    assert result["changed"] is False
    assert agent.changes() == []


def test_check_mode_returns_what_would_be(agent):
    knows(agent)
    after = dict(FLAT, encryption_key=MASK + " (different)")
    agent.plan("backup-config/edit", True, FLAT, after)
    result = run(backup_config, agent, check_mode=True, backup_name="system", encryption_key="other-planted-secret")
    assert agent.changes() == []
    assert result["config"] == FLAT
    assert result["diff"]["after"] == after
    assert "planted-secret" not in repr(result)


def test_in_check_mode_the_storage_may_be_about_to_exist(agent):
    result = run(
        backup_config,
        agent,
        check_mode=True,
        backup_name="system",
        storage_name="vault",
        encryption_key="planted-secret",
    )
    assert result["changed"] is True
    assert "The storage 'vault' does not exist yet" in repr(result["warnings"])
    assert "planted-secret" not in repr(result)


def test_an_unknown_storage_is_named(agent):
    result = run(backup_config, agent, backup_name="system", storage_name="vault")
    assert result["msg"] == "Could not add the backup configuration 'system': there is no storage 'vault'."


def test_a_new_configuration_needs_a_storage(agent):
    result = run(backup_config, agent, backup_name="system")
    assert result["msg"] == "Could not add the backup configuration 'system': a new configuration needs storage_name."


def test_another_error_than_not_found_is_not_taken_for_absence(agent):
    agent.refuse("backup-config/get", 3001, "Permission denied")
    result = run(backup_config, agent, backup_name="system", state="absent")
    assert result["failed"] is True
    assert result["error_name"] == "PERMISSION_DENIED"


def test_removing_removes_by_id_and_only_what_is_there(agent):
    knows(agent)
    agent.plan("backup-config/del", True, FLAT, None)
    assert run(backup_config, agent, backup_name="system", state="absent")["changed"] is True
    assert agent.changes() == [("backup-config/del", {"backup_id": 5})]
    agent.refuse("backup-config/get", 3007, "no such backup configuration")
    assert run(backup_config, agent, backup_name="system", state="absent")["changed"] is False


def test_a_failed_test_fails_the_task(agent):
    knows(agent)
    agent.plan("backup-config/edit", False, FLAT, FLAT)
    agent.refuse("backup-config/test", 4000, "refused the key")
    result = run(backup_config, agent, backup_name="system", test=True)
    assert result["failed"] is True
    assert result["error_name"] == "INVALID_CREDENTIAL_STORAGE"


def test_a_period_that_does_not_exist_is_refused_by_the_spec(agent):
    result = run(backup_config, agent, backup_name="system", full={"period": "fortnightly"})
    assert "value of period must be one of: deactivated, yearly" in result["msg"]
    assert agent.calls == []
