#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_config_info
version_added: "1.0.0"
short_description: List the backup configurations of an agent
description:
  - Returns the backup configurations of an agent with their schedules and the last jobs. Encryption keys are masked.
author:
  - papi.backup contributors (@papi-backup)
extends_documentation_fragment:
  - papi.backup._agent
  - papi.backup._attributes.info
options:
  backup_name:
    description: Return only the configuration of this name.
    type: str
    aliases: [name]
  storage_name:
    description: Return only configurations that back up to this storage.
    type: str
    aliases: [storage]
  timezone:
    description: The zone to return dates in, as V(Europe/Rome); the agent's own unless given.
    type: str
seealso:
  - module: papi.backup.backup_config
"""

EXAMPLES = r"""
- name: List the configurations that back up to one storage
  papi.backup.backup_config_info:
    storage_name: vault
  register: known

- name: Name those whose last full backup failed
  ansible.builtin.debug:
    msg: "{{ known.configs | selectattr('last.full.job_status', 'eq', 'failed') | map(attribute='backup_name') }}"
"""

RETURN = r"""
configs:
  description: The configurations that pass all filters, in order of creation.
  returned: success
  type: list
  elements: dict
  contains:
    backup_id:
      description: The agent's number for the configuration.
      type: int
      returned: always
      sample: 1
    backup_name:
      description: Its name.
      type: str
      returned: always
      sample: system
    storage_name:
      description: The storage its backups go to.
      type: str
      returned: always
      sample: vault
    storage_id:
      description: The agent's number for that storage.
      type: int
      returned: always
      sample: 1
    encryption_key:
      description: Masked; empty when the backups are not encrypted.
      type: str
      returned: always
      sample: "********"
    paths:
      description: What is backed up; empty for the sources of agent.toml.
      type: list
      elements: str
      returned: always
      sample: [/etc, /srv]
    excludes:
      description: Patterns of what is left out.
      type: list
      elements: str
      returned: always
      sample: ["*.tmp"]
    full:
      description: The schedule of full backups.
      type: dict
      returned: always
      contains:
        period:
          description: What the schedule counts in.
          type: str
          returned: always
          sample: daily
        frequency:
          description: Every how many eligible units.
          type: int
          returned: always
          sample: 1
        time_list:
          description: The eligible units.
          type: list
          elements: int
          returned: always
          sample: []
        day_run:
          description: Days of the month.
          type: list
          elements: int
          returned: always
          sample: []
        time_run:
          description: Hours.
          type: list
          elements: int
          returned: always
          sample: [2]
    inc:
      description: The schedule of incremental backups.
      type: dict
      returned: always
      contains:
        period:
          description: What the schedule counts in.
          type: str
          returned: always
          sample: daily
        frequency:
          description: Every how many eligible units.
          type: int
          returned: always
          sample: 1
        time_list:
          description: The eligible units.
          type: list
          elements: int
          returned: always
          sample: []
        day_run:
          description: Days of the month.
          type: list
          elements: int
          returned: always
          sample: []
        time_run:
          description: Hours.
          type: list
          elements: int
          returned: always
          sample: [2]
    last:
      description: The last jobs of the configuration.
      type: dict
      returned: always
      contains:
        full:
          description: The last full backup.
          type: dict
          returned: always
          contains:
            job_status:
              description: V(waiting), V(running), V(success) or V(failed); empty before the first.
              type: str
              returned: always
              sample: success
            description:
              description: What the job did, or why it failed.
              type: str
              returned: always
              sample: 1,204 files, 83.1 MiB read, 21.4 MiB stored
            start_date:
              description: When it was added.
              type: str
              returned: always
              sample: "2026-03-01 02:14:07"
            end_date:
              description: When it ended.
              type: str
              returned: always
              sample: "2026-03-01 02:15:31"
            next_runs:
              description: When the next ones are due, three at most. A full takes the place of an incremental.
              type: list
              elements: str
              returned: when the agent tells it
              sample: ["2026-03-02 02:05:00", "2026-03-03 02:05:00", "2026-03-04 02:05:00"]
        inc:
          description: The last incremental backup.
          type: dict
          returned: always
          contains:
            job_status:
              description: V(waiting), V(running), V(success) or V(failed); empty before the first.
              type: str
              returned: always
              sample: success
            description:
              description: What the job did, or why it failed.
              type: str
              returned: always
              sample: 1,204 files, 83.1 MiB read, 21.4 MiB stored
            start_date:
              description: When it was added.
              type: str
              returned: always
              sample: "2026-03-01 02:14:07"
            end_date:
              description: When it ended.
              type: str
              returned: always
              sample: "2026-03-01 02:15:31"
            next_runs:
              description: When the next ones are due, three at most. A full takes the place of an incremental.
              type: list
              elements: str
              returned: when the agent tells it
              sample: ["2026-03-02 02:05:00", "2026-03-03 02:05:00", "2026-03-04 02:05:00"]
"""

from ansible_collections.papi.backup.plugins.module_utils import _resources
from ansible_collections.papi.backup.plugins.module_utils._argspec import AGENT, ArgumentSpec
from ansible_collections.papi.backup.plugins.module_utils._module import run_module

ARGUMENT_SPEC = AGENT + ArgumentSpec(
    {
        "backup_name": {"type": "str", "aliases": ["name"]},
        "storage_name": {"type": "str", "aliases": ["storage"]},
        "timezone": {"type": "str"},
    }
)


def run(task):
    """List the configurations."""
    with task.attempting("list the backup configurations"):
        found = _resources.configs(task.client, timezone=task.params["timezone"])
    task.result["configs"] = _resources.matching(found, **task.given("backup_name", "storage_name"))


def main():
    """Run the module."""
    run_module(ARGUMENT_SPEC, run)


if __name__ == "__main__":
    main()
