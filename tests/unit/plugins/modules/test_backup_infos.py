# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The info modules, against a fake agent."""

from __future__ import annotations

import pytest

from ansible_collections.papi.backup.plugins.modules import (
    backup_config_info,
    backup_info,
    backup_job_info,
    backup_ssh_id_info,
    backup_storage_info,
)
from ansible_collections.papi.backup.tests.unit.fake_agent import MASK, run

SSH = {"storage_id": 1, "storage_name": "vault", "type": "ssh"}
S3 = {"storage_id": 2, "storage_name": "bucket", "type": "s3", "aws_secret_key": "planted-secret"}
JOBS = [
    {"job_id": 1, "job_type": "backup", "job_status": "success", "backup_name": "system", "backup_type": "full"},
    {"job_id": 2, "job_type": "backup", "job_status": "failed", "backup_name": "system", "backup_type": "inc"},
    {"job_id": 3, "job_type": "restore", "job_status": "success", "backup_name": "other", "backup_type": "inc"},
]
ENTRY = {"date": "2026-03-01 02:14:07", "path": "p", "full": True, "encrypted": True, "hostname": "db1"}


@pytest.mark.parametrize(
    "filters, names",
    [({}, ["vault", "bucket"]), ({"type": "s3"}, ["bucket"]), ({"storage_name": "vault", "type": "s3"}, [])],
)
def test_storages_are_filtered_and_their_secrets_masked(agent, filters, names):
    agent.answer("storage/list", [SSH, S3])
    result = run(backup_storage_info, agent, **filters)
    assert [storage["storage_name"] for storage in result["storages"]] == names
    assert "planted-secret" not in repr(result)
    assert result["changed"] is False


def test_configurations_join_schedules_and_last_jobs_and_mask_the_key(agent):
    last = {"job_status": "success", "description": "", "start_date": "", "end_date": ""}
    agent.answer(
        "backup-config/list",
        [{"backup_id": 5, "backup_name": "system", "storage_name": "vault", "full": last, "inc": last}],
    )
    answered = {"period": "daily", "frequency": 1, "time_list": [], "day_run": "", "time_run": "2,14", "template": ""}
    typed = {"period": "daily", "frequency": 1, "time_list": [], "day_run": [], "time_run": [2, 14]}
    config = {"backup_id": 5, "backup_name": "system", "storage_name": "vault", "encryption_key": "planted-secret"}
    agent.answer("backup-config/get", {"config": config, "full": answered, "inc": dict(answered, period="hourly")})
    result = run(backup_config_info, agent, timezone="Europe/Rome")
    assert result["configs"] == [
        dict(
            config,
            encryption_key=MASK,
            full=typed,
            inc=dict(typed, period="hourly"),
            last={"full": last, "inc": last},
        )
    ]
    assert agent.calls[0].params == {"timezone": "Europe/Rome"}
    assert run(backup_config_info, agent, storage_name="bucket")["configs"] == []


def test_ssh_ids_come_with_their_public_keys(agent):
    agent.answer("ssh-id/list", [{"ssh_id_id": 7, "key_name": "a", "key_length": 2048}])
    agent.answer("ssh-id/get-pub", {"pub_key": "ssh-rsa AAAA"})
    result = run(backup_ssh_id_info, agent)
    assert result["ssh_ids"] == [{"ssh_id_id": 7, "key_name": "a", "key_length": 2048, "public_key": "ssh-rsa AAAA"}]


@pytest.mark.parametrize(
    "filters, ids",
    [
        ({}, [1, 2, 3]),
        ({"job_id": 2}, [2]),
        ({"job_status": "failed"}, [2]),
        ({"job_type": "restore"}, [3]),
        ({"backup_name": "system", "backup_type": "full"}, [1]),
    ],
)
def test_jobs_are_filtered(agent, filters, ids):
    agent.answer("job/list", JOBS)
    assert [job["job_id"] for job in run(backup_job_info, agent, **filters)["jobs"]] == ids


def test_backups_come_as_one_list_that_says_storage_and_name(agent):
    agent.answer("backup/list", {"vault": {"system": [ENTRY], "other": [ENTRY]}, "bucket": {}})
    agent.answer("backup/list-hostname", {"vault": ["db1"], "bucket": []})
    result = run(backup_info, agent, hostname="db1", date_from="2026-03-01")
    assert result["backups"] == [
        dict(ENTRY, storage_name="vault", backup_name="other"),
        dict(ENTRY, storage_name="vault", backup_name="system"),
    ]
    assert result["hostnames"] == {"vault": ["db1"], "bucket": []}
    assert agent.calls[0].params == {"hostname": "db1", "date_from": "2026-03-01"}


def test_only_what_is_asked_for_is_gathered(agent):
    agent.answer("backup/list-hostname", {"vault": ["db1"]})
    result = run(backup_info, agent, gather=["hostnames"], storage_name="vault")
    assert "backups" not in result
    assert [call.path for call in agent.calls] == ["backup/list-hostname"]


def test_a_storage_that_fails_is_named_by_the_agents_words(agent):
    agent.refuse("backup/list", 4001, "storage 'vault': connection refused")
    result = run(backup_info, agent)
    assert result["msg"] == (
        "Could not list the backups: storage 'vault': connection refused (error 4001 INVALID_STORAGE)"
    )
