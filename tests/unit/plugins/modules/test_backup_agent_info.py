# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""backup_agent_info, and what every module says of an agent of another version; against a fake agent."""

from __future__ import annotations

import os
import re
from datetime import datetime

import pytest

from ansible_collections.papi.backup.plugins.module_utils._version import COLLECTION_VERSION
from ansible_collections.papi.backup.plugins.modules import backup_agent_info, backup_ssh_id, backup_storage_info
from ansible_collections.papi.backup.tests.unit.fake_agent import run

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))))
VERSIONS = {"agent": COLLECTION_VERSION, "api": "1.0", "format": 1, "host_name": "db1", "instance_id": "77d0"}
OLDER = dict(VERSIONS, agent="0.9.0")
NAMED = "The agent is version 0.9.0 and the collection papi.backup is {0}.".format(COLLECTION_VERSION)
NOON = datetime(2026, 3, 3, 12, 0, 0)


def config(name, full=("2026-03-08 02:00:00",), inc=()):
    return {"backup_name": name, "full": {"next_runs": list(full)}, "inc": {"next_runs": list(inc)}}


def job(number, name, status, end, kind="backup"):
    words = {"failed": "[4001] no route", "success": "3 files"}.get(status, "")
    code = 4001 if status == "failed" else 0
    return {
        "job_id": number,
        "job_type": kind,
        "job_status": status,
        "backup_name": name,
        "end_date": end,
        "description": words,
        "error_code": code,
    }


def knows(agent, configs, jobs, versions=None):
    agent.answer("version", versions or VERSIONS)
    agent.answer("backup-config/list", configs)
    agent.answer("job/list", jobs)


def test_an_agent_without_backups_is_healthy_and_tells_its_versions(agent):
    knows(agent, [], [])
    result = run(backup_agent_info, agent)
    assert (result["agent"], result["collection_version"]) == (VERSIONS, COLLECTION_VERSION)
    assert (result["version_mismatch"], result["healthy"], result["changed"]) == (False, True, False)
    assert (result["stale_backups"], result["failed_backups"]) == ([], [])
    assert "warnings" not in result


def test_a_state_that_was_lost_is_unhealthy_and_warned_of(agent):
    knows(agent, [], [], dict(VERSIONS, state_lost=True))
    result = run(backup_agent_info, agent)
    assert result["healthy"] is False
    assert backup_agent_info.STATE_LOST in repr(result["warnings"])


def test_another_version_is_named(agent):
    knows(agent, [], [], OLDER)
    result = run(backup_agent_info, agent)
    assert result["version_mismatch"] is True
    assert NAMED in repr(result["warnings"])


def test_stale_and_failed_backups_make_it_unhealthy_and_dates_are_asked_for_in_utc(agent):
    knows(agent, [config("old"), config("other")], [job(1, "old", "failed", "2020-01-01 00:00:00")])
    result = run(backup_agent_info, agent)
    assert result["healthy"] is False
    assert [one["backup_name"] for one in result["stale_backups"]] == ["old", "other"]
    assert result["failed_backups"] == [
        {
            "backup_name": "old",
            "job_id": 1,
            "end_date": "2020-01-01 00:00:00",
            "error_code": 4001,
            "description": "[4001] no route",
        }
    ]
    assert [call.params for call in agent.calls if call.path != "version"] == [{"timezone": "UTC"}] * 2


def test_only_the_named_backup_is_looked_at(agent):
    knows(agent, [config("old"), config("other")], [])
    result = run(backup_agent_info, agent, backup_name="other")
    assert [one["backup_name"] for one in result["stale_backups"]] == ["other"]


def test_waiting_and_running_jobs_are_counted(agent):
    knows(agent, [], [job(1, "a", "running", ""), job(2, "a", "waiting", ""), job(3, "b", "waiting", "")])
    assert run(backup_agent_info, agent)["jobs"] == {"waiting": 2, "running": 1}


@pytest.mark.parametrize(
    "end, hours, found",
    [
        ("2026-03-02 12:00:00", 25, False),
        ("2026-03-02 11:00:00", 25, True),
        ("2026-03-02 11:00:00", 0, False),
        ("2026-03-03 12:30:00", 25, False),
    ],
)
def test_a_backup_is_stale_from_so_many_hours_after_its_last_success_on(end, hours, found):
    jobs = [job(1, "a", "success", end), job(2, "a", "failed", "2026-03-03 11:00:00")]
    expected = [{"backup_name": "a", "last_success": end, "hours": 25.0}] if found else []
    assert backup_agent_info.stale([config("a")], jobs, NOON, hours) == expected


def test_a_restore_or_another_backup_is_no_success_of_a_backup():
    jobs = [job(1, "a", "success", "2026-03-03 11:00:00", kind="restore"), job(2, "b", "success", "2026-03-03 11:00:00")]
    assert backup_agent_info.stale([config("a")], jobs, NOON, 48) == [
        {"backup_name": "a", "last_success": "", "hours": None}
    ]


def test_a_backup_without_a_schedule_is_never_stale():
    assert backup_agent_info.stale([config("a", full=())], [], NOON, 48) == []
    assert backup_agent_info.stale([config("a", full=(), inc=["2026-03-04 02:00:00"])], [], NOON, 48) != []


def test_only_the_last_job_that_ended_counts_as_failed():
    mended = [job(1, "a", "failed", "2026-03-01 00:00:00"), job(2, "a", "success", "2026-03-02 00:00:00")]
    assert backup_agent_info.failed([config("a")], mended) == []
    broken = mended + [job(3, "a", "failed", "2026-03-02 01:00:00"), job(4, "a", "running", "")]
    assert [one["job_id"] for one in backup_agent_info.failed([config("a")], broken)] == [3]


def test_a_failed_task_of_any_module_names_the_mismatch(agent):
    agent.answer("version", OLDER)
    agent.reply("storage/list", b"<html>not found</html>")
    assert NAMED in run(backup_storage_info, agent)["msg"]


def test_an_agent_that_knows_no_dry_runs_is_named_with_its_version(agent):
    agent.answer("version", OLDER)
    agent.reply("ssh-id/new", {"success": 1, "data": "success"}, dry_run=True)
    result = run(backup_ssh_id, agent, key_name="vault")
    assert result["failed"] is True
    assert "does not know dry runs" in result["msg"]
    assert NAMED in result["msg"]


def test_a_change_warns_of_a_mismatch(agent):
    agent.answer("version", OLDER)
    agent.answer("ssh-id/list", [{"ssh_id_id": 1, "key_name": "vault", "key_length": 3072}])
    agent.plan("ssh-id/del", True, {"key_name": "vault"}, {})
    result = run(backup_ssh_id, agent, key_name="vault", state="absent")
    assert result["changed"] is True
    assert NAMED in repr(result["warnings"])


def test_nobody_who_is_refused_is_told_a_version(agent):
    agent.answer("version", OLDER)
    agent.refuse("storage/list", 3001, "Permission denied")
    assert "0.9.0" not in run(backup_storage_info, agent)["msg"]


@pytest.mark.parametrize(
    "path, pattern",
    [("galaxy.yml", r"(?m)^version: (\S+)$"), ("agent/src/papi_backup/__init__.py", r'(?m)^__version__ = "(.+)"$')],
)
def test_collection_and_agent_are_released_together(path, pattern):
    with open(os.path.join(ROOT, *path.split("/"))) as stream:
        assert re.findall(pattern, stream.read()) == [COLLECTION_VERSION]
