# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""backup_run and backup_restore, against a fake agent."""

from __future__ import annotations

import pytest

from ansible_collections.papi.backup.plugins.modules import backup_restore, backup_run
from ansible_collections.papi.backup.tests.unit.fake_agent import run, success

OTHER = {"job_id": 11, "job_type": "backup", "job_status": "failed", "description": "[4001] another job"}
WAITING = {"job_id": 12, "job_type": "backup", "job_status": "waiting", "description": ""}
RUNNING = dict(WAITING, job_status="running")
DONE = dict(WAITING, job_status="success", description="3 files", backup_type="full", entries_changed=3)
CONFIG = {"config": {"backup_id": 5, "backup_name": "system"}, "full": {}, "inc": {}}
RESTORE = {"storage_name": "vault", "backup_name": "system", "restore_date": "2026-03-01", "encryption_key": "planted-secret"}
PLAN = {"catalog_path": "x", "files": 4, "creates": 1, "overwrites": 1, "repairs": 0, "keeps": 2, "overwritten": ["/etc/hosts"]}


def queues(agent, path, *histories):
    agent.answer(path, "success", job_id=12)
    agent.answer("job/list", *[[OTHER, job] for job in histories])


def test_a_backup_is_queued_once_and_waited_for(agent):
    queues(agent, "backup/run", WAITING, RUNNING, DONE)
    result = run(backup_run, agent, backup_name="system", backup_type="full", wait_sleep=0.05)
    assert len(agent.changes()) == 1
    path, params = agent.changes()[0]
    assert path == "backup/run"
    assert (params["backup_name"], params["backup_type"]) == ("system", "full")
    assert params["request_id"]
    assert result["changed"] is True
    assert result["job"] == DONE


def test_without_wait_the_queued_job_is_returned(agent):
    queues(agent, "backup/run", WAITING)
    result = run(backup_run, agent, backup_name="system", wait=False)
    assert result["job"] == WAITING
    assert result["changed"] is True


def test_a_lost_answer_is_asked_for_again_with_the_same_request_id(agent):
    queues(agent, "backup/run", DONE)
    agent.reply("backup/run", None, success("success", job_id=12))
    result = run(backup_run, agent, backup_name="system")
    first, second = agent.changes()
    assert first[1]["request_id"] == second[1]["request_id"]
    assert result["job"] == DONE


def test_an_agent_that_goes_away_while_the_job_runs_costs_nothing(agent):
    queues(agent, "backup/run", RUNNING)
    agent.reply("job/list", success([RUNNING]), None, None, success([DONE]))
    result = run(backup_run, agent, backup_name="system", wait_sleep=0.05)
    assert result["job"] == DONE


@pytest.mark.parametrize(
    "failed, code, name, words",
    [
        ({"description": "[4002] the key is wrong"}, 4002, "INVALID_DECRYPTION_KEY", "the key is wrong"),
        ({"description": "no such path", "error_code": 3005}, 3005, "INVALID_PARAMETER", "no such path"),
        ({"description": "[4004] damaged", "error_code": 4004}, 4004, "CORRUPTED_BACKUP", "damaged"),
        ({"description": "killed by signal 9", "error_code": 0}, 3000, "INTERNAL_ERROR", "killed by signal 9"),
    ],
)
def test_a_failed_job_fails_the_task_with_its_code_name_and_words(agent, failed, code, name, words):
    job = dict(WAITING, job_status="failed", **failed)
    queues(agent, "backup/run", job)
    result = run(backup_run, agent, backup_name="system")
    assert result["failed"] is True
    assert (result["error_code"], result["error_name"]) == (code, name)
    assert result["msg"] == "Could not run the inc backup 'system': {0} (error {1} {2})".format(words, code, name)
    assert result["job"] == job


def test_a_wait_that_takes_too_long_fails_and_returns_the_job(agent):
    queues(agent, "backup/run", RUNNING)
    result = run(backup_run, agent, backup_name="system", wait_timeout=1, wait_sleep=0.1)
    assert result["failed"] is True
    assert "job 12 is still running after 1 s. It goes on" in result["msg"]
    assert result["job"] == RUNNING


def test_check_mode_of_a_run_validates_and_runs_nothing(agent):
    agent.answer("backup-config/get", CONFIG)
    agent.plan("backup/run", True, None, None)
    result = run(backup_run, agent, check_mode=True, backup_name="system")
    assert agent.changes() == []
    assert agent.dry_runs() == [("backup/run", {"backup_name": "system", "backup_type": "inc"})]
    assert result["changed"] is True
    assert "job" not in result


def test_in_check_mode_the_configuration_may_be_about_to_exist(agent):
    agent.refuse("backup-config/get", 3007, "no such backup configuration")
    result = run(backup_run, agent, check_mode=True, backup_name="system")
    assert result["changed"] is True
    assert "'system' does not exist yet" in repr(result["warnings"])


def test_a_restore_sends_what_is_given_and_waits(agent):
    queues(agent, "backup/restore", RUNNING, DONE)
    result = run(
        backup_restore,
        agent,
        hostname="db1",
        timezone="Europe/Rome",
        target_dir="/restored",
        include=["/etc/a,b", "*.conf"],
        wait_sleep=0.05,
        **RESTORE
    )
    sent = dict(agent.changes()[0][1])
    assert sent.pop("request_id")
    assert sent == dict(
        RESTORE,
        hostname="db1",
        timezone="Europe/Rome",
        target_dir="/restored",
        include=["/etc/a,b", "*.conf"],
        overwrite="changed",
        numeric_owner=False,
    )
    assert result["job"] == DONE
    assert "planted-secret" not in repr(result)


@pytest.mark.parametrize("entries_changed, changed", [(1, True), (0, False)])
def test_a_restore_is_changed_when_it_changed_something(agent, entries_changed, changed):
    queues(agent, "backup/restore", RUNNING, dict(DONE, entries_changed=entries_changed))
    assert run(backup_restore, agent, wait_sleep=0.05, **RESTORE)["changed"] is changed


@pytest.mark.parametrize("end", [RUNNING, dict(WAITING, job_status="failed", description="[4004] damaged")])
def test_a_restore_that_was_not_seen_to_end_well_counts_as_changed(agent, end):
    queues(agent, "backup/restore", end)
    result = run(backup_restore, agent, wait_timeout=1, wait_sleep=0.1, **RESTORE)
    assert result["failed"] is True
    assert result["changed"] is True


NOTHING = {"creates": 0, "overwrites": 0}


@pytest.mark.parametrize(
    "counts, changed", [({}, True), (NOTHING, False), (dict(NOTHING, repairs=1), True)]
)
def test_check_mode_of_a_restore_returns_the_plan(agent, counts, changed):
    agent.answer("storage/list", [{"storage_id": 1, "storage_name": "vault"}])
    agent.reply("backup/restore", success(dict(PLAN, **counts)), dry_run=True)
    result = run(backup_restore, agent, check_mode=True, **RESTORE)
    assert agent.changes() == []
    assert result["changed"] is changed
    assert result["plan"] == dict(PLAN, **counts)


def test_check_mode_of_a_restore_with_a_wrong_key_fails_as_the_restore_would(agent):
    agent.answer("storage/list", [{"storage_id": 1, "storage_name": "vault"}])
    agent.refuse("backup/restore", 4002, "the key does not open it", dry_run=True)
    result = run(backup_restore, agent, check_mode=True, **RESTORE)
    assert result["error_code"] == 4002
    assert result["msg"].startswith("Could not restore the backup 'system' of 2026-03-01 from the storage 'vault': the key")


def test_in_check_mode_the_storage_of_a_restore_may_be_about_to_exist(agent):
    result = run(backup_restore, agent, check_mode=True, **RESTORE)
    assert result["plan"] is None
    assert "The storage 'vault' does not exist yet" in repr(result["warnings"])
