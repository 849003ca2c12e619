#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_run
version_added: "1.0.0"
short_description: Run a backup now
description:
  - Queues a full or incremental backup of a configuration on its agent, and waits for its end.
  - In check mode nothing runs, and the task reports a change.
author:
  - papi.backup contributors (@papi-backup)
extends_documentation_fragment:
  - papi.backup._agent
  - papi.backup._wait
  - papi.backup._attributes.job
options:
  backup_name:
    description:
      - The configuration to run, as in O(papi.backup.backup_config#module:backup_name).
    type: str
    required: true
    aliases: [name]
  backup_type:
    description:
      - V(full) or V(inc), an incremental backup.
      - An incremental backup without a usable full one becomes a full backup; RV(job.backup_type) says so.
    type: str
    choices: [full, inc]
    default: inc
seealso:
  - module: papi.backup.backup_config
  - module: papi.backup.backup_job_info
  - module: papi.backup.backup_restore
"""

EXAMPLES = r"""
- name: Back up now and wait for the end
  papi.backup.backup_run:
    backup_name: system
    backup_type: full

- name: Start a backup, and wait as long as it takes in a later task
  papi.backup.backup_run:
    backup_name: system
    wait: false
  register: started

- name: Wait for it
  papi.backup.backup_job_info:
    job_id: "{{ started.job.job_id }}"
  register: history
  until: history.jobs[0].job_status in ["success", "failed"]
  retries: 120
  delay: 30
"""

RETURN = r"""
job:
  description: The job, also when it failed or did not end in time.
  returned: when a job was queued
  type: dict
  contains:
    job_id:
      description: The agent's number for the job.
      type: int
      returned: always
      sample: 12
    job_type:
      description: V(backup) or V(restore).
      type: str
      returned: always
      sample: backup
    job_status:
      description: V(waiting), V(running), V(success) or V(failed).
      type: str
      returned: always
      sample: success
    description:
      description: What the job did, or why it failed; set when it has ended.
      type: str
      returned: always
      sample: 1,204 files, 83.1 MiB read, 21.4 MiB stored
    backup_name:
      description: The backup it belongs to.
      type: str
      returned: always
      sample: system
    backup_type:
      description: V(full) or V(inc).
      type: str
      returned: always
      sample: full
    start_date:
      description: When the job was added, in the agent's local time.
      type: str
      returned: always
      sample: "2026-03-01 02:14:07"
    end_date:
      description: When it ended, in the agent's local time.
      type: str
      returned: always
      sample: "2026-03-01 02:15:31"
    size_transferred:
      description: Bytes transferred; V(0) until the job has ended.
      type: int
      returned: always
      sample: 22439812
    size_transferred_human:
      description: The same for people.
      type: str
      returned: always
      sample: 21.4 MiB
    error_code:
      description: The error code of a failed job; V(0) for any other.
      type: int
      returned: always
      sample: 0
    files:
      description: How many files the job saved or restored.
      type: int
      returned: always
      sample: 1204
    bytes_read:
      description: How much it read.
      type: int
      returned: always
      sample: 87137894
    bytes_stored:
      description: How much it added to the storage.
      type: int
      returned: always
      sample: 22439812
    entries_changed:
      description: Of a restore, how much it made, replaced or gave other metadata. 0 for a backup.
      type: int
      returned: always
      sample: 0
    warnings:
      description: How many warnings it gave; the description names them.
      type: int
      returned: always
      sample: 0
    files_done:
      description: Files read or written so far.
      type: int
      returned: while the job runs
      sample: 512
    files_total:
      description: Files in all, of a backup as many as the last one had; V(0) when that is not known.
      type: int
      returned: while the job runs
      sample: 1204
    bytes_done:
      description: Bytes read or written so far.
      type: int
      returned: while the job runs
      sample: 41943040
    bytes_total:
      description: Bytes in all, of a backup as many as the last one read; V(0) when that is not known.
      type: int
      returned: while the job runs
      sample: 87137894
    rate:
      description: Bytes a second, lately.
      type: int
      returned: while the job runs
      sample: 10485760
    remaining_seconds:
      description: Seconds until the end at this rate; V(0) when that is not known.
      type: int
      returned: while the job runs
      sample: 5
error_code:
  description: The error code of the agent, or of the failed job.
  returned: failure, when the agent refused or the job failed
  type: int
  sample: 4001
error_name:
  description: The name of the error code.
  returned: failure, when the agent refused or the job failed
  type: str
  sample: INVALID_STORAGE
"""

from ansible_collections.papi.backup.plugins.module_utils import _resources
from ansible_collections.papi.backup.plugins.module_utils._argspec import AGENT, WAIT, ArgumentSpec
from ansible_collections.papi.backup.plugins.module_utils._jobs import run_job
from ansible_collections.papi.backup.plugins.module_utils._module import run_module

OWN = ArgumentSpec(
    {
        "backup_name": {"type": "str", "required": True, "aliases": ["name"]},
        "backup_type": {"type": "str", "choices": ["full", "inc"], "default": "inc"},
    }
)
ARGUMENT_SPEC = AGENT + WAIT + OWN


def predict(task, order):
    """Check mode: let the agent validate the call without running anything."""
    if _resources.config_named(task.client, order["backup_name"]) is None:
        task.assume_only("The backup configuration '{0}'".format(order["backup_name"]))
    else:
        task.client.plan("backup/run", order)
    task.result["changed"] = True


def run(task):
    """Run the backup."""
    order = task.given("backup_name", "backup_type")
    with task.attempting("run the {0} backup '{1}'".format(order["backup_type"], order["backup_name"])):
        if task.check_mode:
            predict(task, order)
        else:
            run_job(task, "backup/run", order)


def main():
    """Run the module."""
    run_module(ARGUMENT_SPEC, run)


if __name__ == "__main__":
    main()
