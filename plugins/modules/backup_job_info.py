#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_job_info
version_added: "1.0.0"
short_description: List the jobs of an agent
description:
  - Returns the history of an agent's jobs, those that wait or run included.
author:
  - papi.backup contributors (@papi-backup)
extends_documentation_fragment:
  - papi.backup._agent
  - papi.backup._attributes.info
options:
  job_id:
    description: Return only the job of this number.
    type: int
  job_type:
    description: Return only jobs of this type.
    type: str
    choices: [backup, restore]
  job_status:
    description: Return only jobs in this state.
    type: str
    choices: [waiting, running, success, failed]
  backup_name:
    description: Return only jobs of this backup.
    type: str
    aliases: [name]
  backup_type:
    description: Return only jobs of this type of backup.
    type: str
    choices: [full, inc]
seealso:
  - module: papi.backup.backup_run
  - module: papi.backup.backup_restore
"""

EXAMPLES = r"""
- name: Find failed backups
  papi.backup.backup_job_info:
    job_type: backup
    job_status: failed
  register: failures
"""

RETURN = r"""
jobs:
  description: The jobs that pass all filters, in the agent's order.
  returned: success
  type: list
  elements: dict
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
      sample: 3
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
"""

from ansible_collections.papi.backup.plugins.module_utils import _resources
from ansible_collections.papi.backup.plugins.module_utils._argspec import AGENT, ArgumentSpec
from ansible_collections.papi.backup.plugins.module_utils._module import run_module

FILTERS = {
    "job_id": {"type": "int"},
    "job_type": {"type": "str", "choices": ["backup", "restore"]},
    "job_status": {"type": "str", "choices": ["waiting", "running", "success", "failed"]},
    "backup_name": {"type": "str", "aliases": ["name"]},
    "backup_type": {"type": "str", "choices": ["full", "inc"]},
}
ARGUMENT_SPEC = AGENT + ArgumentSpec(FILTERS)


def run(task):
    """List the jobs."""
    with task.attempting("list the jobs"):
        found = _resources.jobs(task.client)
    task.result["jobs"] = _resources.matching(found, **task.given(*FILTERS))


def main():
    """Run the module."""
    run_module(ARGUMENT_SPEC, run)


if __name__ == "__main__":
    main()
