#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_info
version_added: "1.0.0"
short_description: List the backups and host names on storages
description:
  - Returns the backups that lie on one or all storages of an agent, and the names of the hosts that were backed up there.
  - It reads the storages, so one that cannot be reached makes the task fail and is named.
author:
  - papi.backup contributors (@papi-backup)
extends_documentation_fragment:
  - papi.backup._agent
  - papi.backup._attributes.info
options:
  storage_name:
    description: Look only on this storage.
    type: str
    aliases: [storage]
  hostname:
    description: Return the backups of this host; those of the agent's own host unless given.
    type: str
  backup_name:
    description: Return only backups of this name.
    type: str
    aliases: [name]
  timezone:
    description: The zone of all dates, as V(Europe/Rome); the agent's own unless given.
    type: str
  date_from:
    description: Return only backups of this date or later, V(YYYY-MM-DD HH:MM:SS); a bare date means the start of that day.
    type: str
  date_to:
    description: Return only backups of this date or earlier; a bare date means the end of that day.
    type: str
  gather:
    description: What to look for. Leaving out what is not needed saves requests to the storages.
    type: list
    elements: str
    choices: [backups, hostnames]
    default: [backups, hostnames]
seealso:
  - module: papi.backup.backup_restore
  - module: papi.backup.backup_run
"""

EXAMPLES = r"""
- name: List the backups of this host on all storages
  papi.backup.backup_info:
  register: known

- name: List those of another host since March
  papi.backup.backup_info:
    storage_name: vault
    hostname: db1.example.com
    date_from: "2026-03-01"
    gather: [backups]
"""

RETURN = r"""
backups:
  description: The backups that pass all filters, by storage, name and date.
  returned: when asked for in O(gather)
  type: list
  elements: dict
  contains:
    storage_name:
      description: The storage where it lies.
      type: str
      returned: always
      sample: vault
    backup_name:
      description: Its name.
      type: str
      returned: always
      sample: system
    date:
      description: Its date; as O(papi.backup.backup_restore#module:restore_date) it restores this backup.
      type: str
      returned: always
      sample: "2026-03-01 02:14:07"
    path:
      description: Its name on the storage.
      type: str
      returned: always
      sample: db1.example.com/system/20260301T011407Z-full-enc-1f0c-8b2a-77d0e1a2b3c4d5e6-18211.v1
    full:
      description: Whether it is a full backup.
      type: bool
      returned: always
      sample: true
    encrypted:
      description: Whether it is encrypted.
      type: bool
      returned: always
      sample: true
    hostname:
      description: The host that made it.
      type: str
      returned: always
      sample: db1.example.com
    backup_type:
      description: V(full) or V(inc).
      type: str
      returned: always
      sample: full
    chain:
      description: The chain it belongs to, a full backup and the incremental ones that build on it.
      type: str
      returned: always
      sample: 1f0c
    backup:
      description: Its own identifier.
      type: str
      returned: always
      sample: 8b2a
    instance:
      description: The agent that made it.
      type: str
      returned: always
      sample: 77d0e1a2b3c4d5e6
    readable:
      description: Whether the agent knows its format.
      type: bool
      returned: always
      sample: true
    warning:
      description: What is odd about it; mostly empty.
      type: str
      returned: always
      sample: ""
hostnames:
  description: The hosts that have backups, a list for each storage.
  returned: when asked for in O(gather)
  type: dict
  sample:
    vault:
      - db1.example.com
      - web1.example.com
"""

from ansible_collections.papi.backup.plugins.module_utils import _resources
from ansible_collections.papi.backup.plugins.module_utils._argspec import AGENT, ArgumentSpec
from ansible_collections.papi.backup.plugins.module_utils._module import run_module

FILTERS = {
    "storage_name": {"type": "str", "aliases": ["storage"]},
    "hostname": {"type": "str"},
    "timezone": {"type": "str"},
    "date_from": {"type": "str"},
    "date_to": {"type": "str"},
}
KINDS = ["backups", "hostnames"]
ARGUMENT_SPEC = AGENT + ArgumentSpec(
    dict(
        FILTERS,
        backup_name={"type": "str", "aliases": ["name"]},
        gather={"type": "list", "elements": "str", "choices": KINDS, "default": KINDS},
    )
)


def run(task):
    """Look at the storages."""
    if "backups" in task.params["gather"]:
        with task.attempting("list the backups"):
            found = _resources.backups(task.client, **task.given(*FILTERS))
        task.result["backups"] = _resources.matching(found, **task.given("backup_name"))
    if "hostnames" in task.params["gather"]:
        with task.attempting("list the host names"):
            task.result["hostnames"] = _resources.host_names(task.client, **task.given("storage_name"))


def main():
    """Run the module."""
    run_module(ARGUMENT_SPEC, run)


if __name__ == "__main__":
    main()
