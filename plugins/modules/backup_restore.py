#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_restore
version_added: "1.0.0"
short_description: Restore a backup
description:
  - Restores the newest backup at or before a date from a storage, to the original places or below another directory,
    on the host that made it or on another one, and waits for the end.
  - In check mode nothing is restored; the agent returns the plan instead. It says which backup it would take,
    how many files it would create, and which it would overwrite.
  - Files that are not in the backup are never deleted.
  - The task is changed when the restore made, replaced or gave other metadata to anything. It also counts as changed
    when it does not wait for the end, or fails, since something may be restored then.
author:
  - papi.backup contributors (@papi-backup)
extends_documentation_fragment:
  - papi.backup._agent
  - papi.backup._wait
  - papi.backup._attributes.job
options:
  storage_name:
    description:
      - The storage where the backup lies, as in O(papi.backup.backup_storage#module:storage_name).
    type: str
    required: true
    aliases: [storage]
  backup_name:
    description:
      - The name of the backup.
    type: str
    required: true
    aliases: [name]
  restore_date:
    description:
      - The newest backup at or before this date is taken, V(YYYY-MM-DD HH:MM:SS).
      - A bare V(YYYY-MM-DD) means the end of that day. An offset may follow the time, as in V(2026-10-25 02:30:00+01:00).
    type: str
    required: true
  timezone:
    description:
      - The zone of O(restore_date), as V(Europe/Rome); the agent's own unless given.
    type: str
  hostname:
    description:
      - The host that made the backup; the host of the agent unless given.
    type: str
  encryption_key:
    description:
      - The key of the backup. Needed only when the backup is encrypted.
      - The key of a configuration is never taken in its place.
    type: str
  target_dir:
    description:
      - An absolute path to restore below. The full original path is kept below it.
      - It is made when it does not exist; the directory it is made in must exist.
      - The original places unless given.
    type: str
  include:
    description:
      - Paths or globs of what to restore; everything unless given.
    type: list
    elements: str
  overwrite:
    description:
      - What to do with files that exist.
      - V(changed) replaces those whose content or metadata differs. V(always) replaces all, V(never) none.
      - V(fail) restores nothing when there is one.
    type: str
    choices: [always, changed, never, fail]
    default: changed
  numeric_owner:
    description:
      - Whether owners get the numbers that they have in the backup, as a whole system restored from a rescue system needs.
      - Otherwise they get those that their names have on the host, and their own where the host does not know the name.
    type: bool
    default: false
    version_added: "1.1.0"
seealso:
  - module: papi.backup.backup_info
  - module: papi.backup.backup_run
  - module: papi.backup.backup_job_info
"""

EXAMPLES = r"""
- name: Bring back one directory as it was yesterday, next to the present one
  papi.backup.backup_restore:
    storage_name: vault
    backup_name: system
    restore_date: "{{ '%Y-%m-%d' | ansible.builtin.strftime(ansible_facts['date_time']['epoch'] | int - 86400) }}"
    encryption_key: "{{ backup_encryption_key }}"
    include:
      - /etc/nginx
    target_dir: /var/tmp/restored

- name: See what a restore of a lost host onto this one would do
  papi.backup.backup_restore:
    storage_name: vault
    backup_name: system
    hostname: db1.example.com
    restore_date: "2026-03-01 12:00:00"
    timezone: Europe/Rome
    encryption_key: "{{ backup_encryption_key }}"
  check_mode: true
  register: preview

- name: Show which files it would overwrite
  ansible.builtin.debug:
    var: preview.plan
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
plan:
  description:
    - What a restore would do, in the agent's words.
    - Null when the storage does not exist yet.
  returned: in check mode
  type: dict
  contains:
    catalog_path:
      description: The backup that was chosen.
      type: str
      returned: always
      sample: db1.example.com/system/20260301T011407Z-full-enc-1f0c-8b2a-77d0e1a2b3c4d5e6-18211.v1
    date:
      description: Its date.
      type: str
      returned: always
      sample: "2026-03-01 02:14:07"
    backup_type:
      description: V(full) or V(inc).
      type: str
      returned: always
      sample: full
    instance:
      description: The agent that made it.
      type: str
      returned: always
      sample: 77d0e1a2b3c4d5e6
    sequence:
      description: Its number in its chain; a gap to the one before hints at backups that were taken away.
      type: int
      returned: always
      sample: 0
    files:
      description: How many files the restore covers.
      type: int
      returned: always
      sample: 1204
    bytes:
      description: Their size.
      type: int
      returned: always
      sample: 87137894
    creates:
      description: How many of them do not exist.
      type: int
      returned: always
      sample: 3
    overwrites:
      description: How many would be overwritten.
      type: int
      returned: always
      sample: 1
    repairs:
      description:
        - How many would only get other metadata, as owner, mode, time or attributes, directories among them.
      type: int
      returned: always
      sample: 0
    keeps:
      description: How many would be left as they are.
      type: int
      returned: always
      sample: 1200
    overwritten:
      description: Names of files that would be overwritten; a long list is cut.
      type: list
      elements: str
      returned: always
      sample: [/etc/nginx/nginx.conf]
    warnings:
      description: What the agent finds worth a warning.
      type: list
      elements: str
      returned: always
      sample: []
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

OPTIONS = {
    "storage_name": {"type": "str", "required": True, "aliases": ["storage"]},
    "backup_name": {"type": "str", "required": True, "aliases": ["name"]},
    "restore_date": {"type": "str", "required": True},
    "timezone": {"type": "str"},
    "hostname": {"type": "str"},
    "encryption_key": {"type": "str", "no_log": True},
    "target_dir": {"type": "str"},
    "include": {"type": "list", "elements": "str"},
    "overwrite": {"type": "str", "choices": ["always", "changed", "never", "fail"], "default": "changed"},
    "numeric_owner": {"type": "bool", "default": False},
}
ARGUMENT_SPEC = AGENT + WAIT + ArgumentSpec(OPTIONS)


def predict(task, order):
    """Check mode: return the agent's plan."""
    if _resources.storage_named(task.client, order["storage_name"]) is None:
        task.assume_only("The storage '{0}'".format(order["storage_name"]))
        task.result.update(changed=True, plan=None)
        return
    plan = task.client.plan("backup/restore", order)
    changes = plan["creates"] + plan["overwrites"] + plan["repairs"]
    task.result.update(changed=bool(changes), plan=plan)


def run(task):
    """Restore."""
    order = task.given(*OPTIONS)
    what = "restore the backup '{backup_name}' of {restore_date} from the storage '{storage_name}'".format(**order)
    with task.attempting(what):
        if task.check_mode:
            predict(task, order)
            return
        run_job(task, "backup/restore", order)
        if task.result["job"]["job_status"] == "success":
            task.result["changed"] = bool(task.result["job"]["entries_changed"])


def main():
    """Run the module."""
    run_module(ARGUMENT_SPEC, run)


if __name__ == "__main__":
    main()
