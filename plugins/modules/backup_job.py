#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_job
version_added: "1.0.0"
short_description: Cancel a job of an agent
description:
  - Cancels a backup or restore that waits or runs, and waits until it has ended.
  - What a cancelled backup has left on its storage is no backup. What a cancelled restore has restored stays.
author:
  - papi.backup contributors (@papi-backup)
extends_documentation_fragment:
  - papi.backup._agent
  - papi.backup._wait
  - papi.backup._attributes
options:
  job_id:
    description: The agent's number for the job, as in RV(papi.backup.backup_job_info#module:jobs[].job_id).
    type: int
    required: true
  state:
    description: V(cancelled) ends the job. A job that has ended already stays as it is.
    type: str
    choices: [cancelled]
    default: cancelled
seealso:
  - module: papi.backup.backup_job_info
  - module: papi.backup.backup_run
"""

EXAMPLES = r"""
- name: Find what runs
  papi.backup.backup_job_info:
    job_status: running
  register: running

- name: Cancel it
  papi.backup.backup_job:
    job_id: "{{ item.job_id }}"
    state: cancelled
  loop: "{{ running.jobs }}"
"""

RETURN = r"""
job:
  description: The job as it is now, in check mode as it would be.
  returned: success
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
  description: The error code of the agent.
  returned: failure, when the agent refused
  type: int
  sample: 3007
error_name:
  description: The name of the error code.
  returned: failure, when the agent refused
  type: str
  sample: NO_SUCH_ENTITY
"""

from ansible_collections.papi.backup.plugins.module_utils import _resources
from ansible_collections.papi.backup.plugins.module_utils._argspec import AGENT, WAIT, ArgumentSpec
from ansible_collections.papi.backup.plugins.module_utils._errors import WaitTimeout
from ansible_collections.papi.backup.plugins.module_utils._module import run_module
from ansible_collections.papi.backup.plugins.module_utils._waiter import FINISHED, Waiter

OPTIONS = {
    "job_id": {"type": "int", "required": True},
    "state": {"type": "str", "choices": ["cancelled"], "default": "cancelled"},
}
ARGUMENT_SPEC = AGENT + WAIT + ArgumentSpec(OPTIONS)


def see_end(task, job_id):
    """Return the job, unless told otherwise when it has ended; raise WaitTimeout when that takes too long."""

    def look():
        task.result["job"] = _resources.job_numbered(task.client, job_id)
        return task.result["job"]

    if not task.params["wait"]:
        return look()
    job = Waiter(task.params["wait_timeout"], task.params["wait_sleep"]).wait(look)
    if job["job_status"] not in FINISHED:
        raise WaitTimeout("job {0} has not ended after {1} s.".format(job_id, task.params["wait_timeout"]))
    return job


def run(task):
    """Cancel the job."""
    job_id = task.params["job_id"]
    with task.attempting("cancel the job {0}".format(job_id)):
        change = task.change("job/cancel", {"job_id": job_id})
        if task.check_mode or not change.changed:
            task.result["job"] = change.after
        elif see_end(task, job_id)["job_status"] == "success":
            task.record(False, task.result["job"], task.result["job"])  # it was faster


def main():
    """Run the module."""
    run_module(ARGUMENT_SPEC, run)


if __name__ == "__main__":
    main()
