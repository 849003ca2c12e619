#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_agent_info
version_added: "1.0.0"
short_description: Tell the versions and the health of an agent
description:
  - Returns the versions of an agent, whether they fit the collection, and which of its backups are stale or failed.
  - It reads what the agent knows and no storage, so it answers at once. The role viewer is enough for it.
author:
  - papi.backup contributors (@papi-backup)
extends_documentation_fragment:
  - papi.backup._agent
  - papi.backup._attributes.info
options:
  backup_name:
    description: Look only at the backup of this name.
    type: str
    aliases: [name]
  stale_after_hours:
    description:
      - After how many hours without a success a backup that has a schedule is stale; V(0) for never.
      - One that has never succeeded is stale.
      - It is counted by the clock of the host on which the module runs.
    type: float
    default: 48
seealso:
  - module: papi.backup.backup_config_info
  - module: papi.backup.backup_job_info
"""

EXAMPLES = r"""
- name: Look at the agent
  papi.backup.backup_agent_info:
    stale_after_hours: 30
  register: agent

- name: Stop where a backup is stale, or its last job failed
  ansible.builtin.assert:
    that: agent.healthy
    fail_msg: "{{ (agent.stale_backups + agent.failed_backups) | map(attribute='backup_name') | unique | join(', ') }}"
"""

RETURN = r"""
agent:
  description: What the agent tells of itself.
  returned: success
  type: dict
  contains:
    agent:
      description: Its version.
      type: str
      returned: always
      sample: 1.0.0
    api:
      description: Version of its API.
      type: str
      returned: always
      sample: "1.0"
    format:
      description: Version of the format of its backups.
      type: int
      returned: always
      sample: 1
    host_name:
      description: The host's name, as its backups have it.
      type: str
      returned: always
      sample: db1.example.com
    instance_id:
      description: Identifies this installation.
      type: str
      returned: always
      sample: 77d0e1a2b3c4d5e6
    state_lost:
      description:
        - Whether it found its key and no state, and has had no backup configuration since; a warning then says so.
        - Absent from an agent of an older version.
      type: bool
      returned: always
      sample: false
collection_version:
  description: Version of the collection.
  returned: success
  type: str
  sample: 1.0.0
version_mismatch:
  description: Whether agent and collection are of different versions; a warning then names both.
  returned: success
  type: bool
  sample: false
healthy:
  description: Whether no backup is in RV(stale_backups) or RV(failed_backups), and the agent's state is not lost.
  returned: success
  type: bool
  sample: true
stale_backups:
  description: The backups with a schedule that have not succeeded for too long.
  returned: success
  type: list
  elements: dict
  contains:
    backup_name:
      description: Its name.
      type: str
      returned: always
      sample: system
    last_success:
      description: When it last succeeded, in UTC; empty if it never did.
      type: str
      returned: always
      sample: "2026-03-01 02:15:31"
    hours:
      description: Hours since then; null if it never succeeded.
      type: float
      returned: always
      sample: 51.5
failed_backups:
  description: The last job of each backup whose last job failed.
  returned: success
  type: list
  elements: dict
  contains:
    backup_name:
      description: Its name.
      type: str
      returned: always
      sample: system
    job_id:
      description: The agent's number for the job.
      type: int
      returned: always
      sample: 12
    end_date:
      description: When it failed, in UTC.
      type: str
      returned: always
      sample: "2026-03-01 02:15:31"
    error_code:
      description: The error code of the job.
      type: int
      returned: always
      sample: 4001
    description:
      description: Why it failed.
      type: str
      returned: always
      sample: "[4001] vault.example.com refused the connection"
jobs:
  description: How many jobs wait and run.
  returned: success
  type: dict
  contains:
    waiting:
      description: How many wait.
      type: int
      returned: always
      sample: 0
    running:
      description: How many run.
      type: int
      returned: always
      sample: 1
"""

from datetime import datetime, timezone

from ansible_collections.papi.backup.plugins.module_utils import _resources
from ansible_collections.papi.backup.plugins.module_utils._argspec import AGENT, ArgumentSpec
from ansible_collections.papi.backup.plugins.module_utils._module import run_module
from ansible_collections.papi.backup.plugins.module_utils._version import COLLECTION_VERSION, mismatch

OPTIONS = {
    "backup_name": {"type": "str", "aliases": ["name"]},
    "stale_after_hours": {"type": "float", "default": 48.0},
}
ARGUMENT_SPEC = AGENT + ArgumentSpec(OPTIONS)

STATE_LOST = (
    "The agent found its key and no state: its storages, backup configurations and job history are gone, "
    "unless this host never had any. Configure it again, or stop it and put its state back."
)

FAILURE_FIELDS = ("backup_name", "job_id", "end_date", "error_code", "description")


def ended_backups(jobs, name):
    """Return the backup jobs of that name that have ended, in order of their ends."""
    ended = _resources.matching(jobs, backup_name=name, job_type="backup")
    return sorted((job for job in ended if job["end_date"]), key=lambda job: (job["end_date"], job["job_id"]))


def stale(configs, jobs, now, after_hours):
    """Return the backups with a schedule whose last success is older than that; ``now`` and dates in UTC."""
    found = []
    for config in configs:
        scheduled = config["full"].get("next_runs") or config["inc"].get("next_runs")
        if not scheduled or not after_hours:
            continue
        ends = [job["end_date"] for job in ended_backups(jobs, config["backup_name"]) if job["job_status"] == "success"]
        mark = {"backup_name": config["backup_name"], "last_success": "", "hours": None}
        if ends:
            hours = (now - datetime.strptime(ends[-1], "%Y-%m-%d %H:%M:%S")).total_seconds() / 3600
            if hours < after_hours:
                continue
            mark.update(last_success=ends[-1], hours=round(hours, 1))
        found.append(mark)
    return found


def failed(configs, jobs):
    """Return the last ended backup job of each configuration where that failed."""
    last = [ended_backups(jobs, config["backup_name"])[-1:] for config in configs]
    return [
        {field: job.get(field) for field in FAILURE_FIELDS}
        for ends in last
        for job in ends
        if job["job_status"] == "failed"
    ]


def run(task):
    """Ask the agent for its versions, configurations and jobs."""
    with task.attempting("ask the agent how it is"):
        versions = _resources.versions(task.client)
        configs = _resources.matching(
            task.client.query("backup-config/list", timezone="UTC"), **task.given("backup_name")
        )
        jobs = _resources.jobs(task.client, timezone="UTC")
    words = mismatch(versions["agent"])
    if words:
        task.warn(words)
    state_lost = bool(versions.get("state_lost"))
    if state_lost:
        task.warn(STATE_LOST)
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    stale_backups, failed_backups = stale(configs, jobs, now, task.params["stale_after_hours"]), failed(configs, jobs)
    task.result.update(
        agent=versions,
        collection_version=COLLECTION_VERSION,
        version_mismatch=bool(words),
        healthy=not (stale_backups or failed_backups or state_lost),
        stale_backups=stale_backups,
        failed_backups=failed_backups,
        jobs={status: len(_resources.matching(jobs, job_status=status)) for status in ("waiting", "running")},
    )


def main():
    """Run the module."""
    run_module(ARGUMENT_SPEC, run)


if __name__ == "__main__":
    main()
