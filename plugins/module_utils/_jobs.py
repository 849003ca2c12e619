# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts a job and sees it through: what backup_run and backup_restore have in common.

Private to papi.backup: it may change in any release.
"""

from __future__ import annotations

import uuid

from ansible_collections.papi.backup.plugins.module_utils import _resources
from ansible_collections.papi.backup.plugins.module_utils._errors import WaitTimeout, job_error
from ansible_collections.papi.backup.plugins.module_utils._waiter import FINISHED, Waiter


def run_job(task, path, params):
    """Queue a job and, unless told otherwise, wait for its end; ``job`` is in the result whatever happens.

    Raises AgentError with the job's own code when it failed, WaitTimeout when it takes too long.
    """
    answer = task.client.change(path, dict(params, request_id=uuid.uuid4().hex))
    job_id = answer["job_id"]
    task.result.update(changed=True, job={"job_id": job_id})

    def look():
        task.result["job"] = _resources.job_numbered(task.client, job_id)
        return task.result["job"]

    if not task.params["wait"]:
        look()
        return
    job = Waiter(task.params["wait_timeout"], task.params["wait_sleep"]).wait(look)
    if job["job_status"] not in FINISHED:
        raise WaitTimeout(
            "job {0} is still {1} after {2} s. It goes on: look at it with papi.backup.backup_job_info, "
            "or wait longer with wait_timeout.".format(job_id, job["job_status"], task.params["wait_timeout"])
        )
    if job["job_status"] == "failed":
        raise job_error(job)
