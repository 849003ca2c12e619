# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""backup_job, against a fake agent."""

from __future__ import annotations

import pytest

from ansible_collections.papi.backup.plugins.modules import backup_job
from ansible_collections.papi.backup.tests.unit.fake_agent import run

RUNNING = {"job_id": 12, "job_type": "backup", "job_status": "running", "description": ""}
CANCELLED = dict(RUNNING, job_status="failed", description="[3015] cancelled by admin", error_code=3015)
DONE = dict(RUNNING, job_status="success", description="3 files")


def cancels(agent, *history):
    agent.plan("job/cancel", True, RUNNING, CANCELLED)
    agent.answer("job/list", *[[job] for job in history])


def test_a_running_job_is_cancelled_and_its_end_awaited(agent):
    cancels(agent, RUNNING, CANCELLED)
    result = run(backup_job, agent, job_id=12, wait_sleep=0.05)
    assert agent.changes() == [("job/cancel", {"job_id": 12})]
    assert (result["changed"], result["job"]) == (True, CANCELLED)
    assert result["diff"] == {"before": RUNNING, "after": CANCELLED}


def test_without_wait_the_job_is_returned_as_it_is(agent):
    cancels(agent, RUNNING)
    result = run(backup_job, agent, job_id=12, wait=False)
    assert (result["changed"], result["job"]) == (True, RUNNING)


def test_check_mode_cancels_nothing_and_tells_the_end(agent):
    cancels(agent, RUNNING)
    result = run(backup_job, agent, check_mode=True, job_id=12)
    assert agent.changes() == []
    assert (result["changed"], result["job"]) == (True, CANCELLED)


@pytest.mark.parametrize("ended", [DONE, CANCELLED])
def test_a_job_that_has_ended_stays_and_nothing_changes(agent, ended):
    agent.plan("job/cancel", False, ended, ended)
    result = run(backup_job, agent, job_id=12, state="cancelled")
    assert agent.changes() == []
    assert (result["changed"], result["job"]) == (False, ended)


def test_a_job_that_ends_before_it_can_be_cancelled_was_not_changed(agent):
    cancels(agent, DONE)
    result = run(backup_job, agent, job_id=12)
    assert (result["changed"], result["job"]) == (False, DONE)
    assert result["diff"] == {"before": DONE, "after": DONE}


def test_a_job_that_does_not_end_fails_the_task_and_is_returned(agent):
    cancels(agent, RUNNING)
    result = run(backup_job, agent, job_id=12, wait_timeout=1, wait_sleep=0.1)
    assert result["failed"] is True
    assert result["msg"] == "Could not cancel the job 12: job 12 has not ended after 1 s."
    assert result["job"] == RUNNING


def test_an_unknown_job_is_the_agents_error(agent):
    agent.refuse("job/cancel", 3007, "there is no job 12", dry_run=True)
    result = run(backup_job, agent, job_id=12)
    assert (result["error_code"], result["error_name"]) == (3007, "NO_SUCH_ENTITY")
    assert result["msg"].startswith("Could not cancel the job 12: there is no job 12")
