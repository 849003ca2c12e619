# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups run though rows of the state are spoilt that they can do without."""

from __future__ import annotations

import sqlite3

from supervised_agent import Agent

from papi_backup.scheduler.loop import Scheduler

SPOILT = (
    "UPDATE jobs SET end_date = 'yesterday'",
    "UPDATE chain_keys SET key = x'00'",
    "UPDATE high_water SET value = 'garbage'",
    "UPDATE schedule_state SET last_run = 'yesterday'",
    "UPDATE unsettled_jobs SET location = x'ff'",
)


def test_a_backup_runs_and_schedules_are_served(agent: Agent) -> None:
    config = agent.config("etc")
    supervisor = agent.start()
    agent.ended(supervisor.enqueue_backup(config, "full"))
    scheduler = Scheduler(agent.store, agent.settings, supervisor.enqueue_backup)
    scheduler.tick()
    with sqlite3.connect(agent.settings.state_dir / "state.db") as other:
        for statement in SPOILT:
            other.execute(statement)
    scheduler.tick()
    after = agent.ended(supervisor.enqueue_backup(config, "inc"))
    assert after.job_status == "success"
    assert agent.store.jobs.list() == [after]
    supervisor.stop(timeout=0)
    agent.start()
    assert agent.ended(agent.supervisor.enqueue_backup(config, "inc")).job_status == "success"
