#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_config
version_added: "1.0.0"
short_description: Manage the backup configurations of an agent
description:
  - Adds, changes and removes backup configurations. A configuration says what is backed up under a name,
    to which storage, with which encryption key, and when.
  - Removing a configuration never removes backups from a storage.
author:
  - papi.backup contributors (@papi-backup)
extends_documentation_fragment:
  - papi.backup._agent
  - papi.backup._attributes
options:
  state:
    description:
      - V(present) adds the configuration or changes it to what is given here. Options that are not given keep their value.
      - V(absent) removes it.
    type: str
    choices: [present, absent]
    default: present
  backup_name:
    description:
      - The name of the configuration and of its backups, unique on the agent.
    type: str
    required: true
    aliases: [name]
  storage_name:
    description:
      - The storage to back up to, as in O(papi.backup.backup_storage#module:storage_name).
        Required for a new configuration.
      - After a change the next backup is a full one.
    type: str
    aliases: [storage]
  encryption_key:
    description:
      - The key to encrypt the backups with, before they leave the host. Without it no backup can be restored; keep it safe.
      - An empty string turns encryption off. When it is not given, a new configuration is not encrypted,
        and an existing one keeps its key.
      - It is compared by the agent, so giving it does not make a task report a change.
      - After a change the next backup is a full one. Earlier backups still need the earlier key.
      - A key of nothing but blanks is refused. One with fewer than 8 characters is a warning.
    type: str
  paths:
    description:
      - What to back up, absolute paths. The sources that agent.toml names, when the list is empty.
    type: list
    elements: str
  excludes:
    description:
      - Patterns of what to leave out of O(paths).
    type: list
    elements: str
  full:
    description:
      - When to run full backups. A new configuration runs none by itself unless told otherwise.
      - The schedule is taken as a whole; what is not given in it gets its default.
    type: dict
    suboptions:
      period:
        description:
          - What the schedule counts in. V(deactivated) runs nothing by itself.
        type: str
        choices: [deactivated, yearly, monthly, weekly, daily, hourly]
        required: true
      frequency:
        description:
          - V(1) takes every eligible unit of the period, V(2) every other, and so on.
        type: int
        default: 1
      time_list:
        description:
          - The eligible units; all when empty. Months 1-12 of a V(yearly) period, days 1-31 of a V(monthly),
            days of the week 0-6 (0 is Sunday) of a V(weekly), hours 0-23 of an V(hourly) one.
        type: list
        elements: int
        default: []
      day_run:
        description:
          - Days of the month to run on, for a V(yearly) period. The first when empty.
        type: list
        elements: int
        default: []
      time_run:
        description:
          - Hours to run at, for all periods but V(hourly). Midnight when empty.
        type: list
        elements: int
        default: []
  inc:
    description:
      - When to run incremental backups, in the form of O(full).
    type: dict
    suboptions:
      period:
        description:
          - What the schedule counts in. V(deactivated) runs nothing by itself.
        type: str
        choices: [deactivated, yearly, monthly, weekly, daily, hourly]
        required: true
      frequency:
        description:
          - V(1) takes every eligible unit of the period, V(2) every other, and so on.
        type: int
        default: 1
      time_list:
        description:
          - The eligible units; all when empty. Months 1-12 of a V(yearly) period, days 1-31 of a V(monthly),
            days of the week 0-6 (0 is Sunday) of a V(weekly), hours 0-23 of an V(hourly) one.
        type: list
        elements: int
        default: []
      day_run:
        description:
          - Days of the month to run on, for a V(yearly) period. The first when empty.
        type: list
        elements: int
        default: []
      time_run:
        description:
          - Hours to run at, for all periods but V(hourly). Midnight when empty.
        type: list
        elements: int
        default: []
  test:
    description:
      - Whether to let the agent test the configuration and its storage, after a change or without one.
        The task fails when the test does. Not done in check mode.
    type: bool
    default: false
seealso:
  - module: papi.backup.backup_config_info
  - module: papi.backup.backup_storage
  - module: papi.backup.backup_run
"""

EXAMPLES = r"""
- name: A full backup each Sunday at 02:00, an incremental one on the other days
  papi.backup.backup_config:
    backup_name: system
    storage_name: vault
    encryption_key: "{{ backup_encryption_key }}"
    paths:
      - /etc
      - /srv
    excludes:
      - "*.tmp"
      - /srv/cache/**
    full:
      period: weekly
      time_list: [0]
      time_run: [2]
    inc:
      period: weekly
      time_list: [1, 2, 3, 4, 5, 6]
      time_run: [2]

- name: Run it by hand only from now on
  papi.backup.backup_config:
    backup_name: system
    full:
      period: deactivated
    inc:
      period: deactivated

- name: Remove the configuration; its backups stay
  papi.backup.backup_config:
    backup_name: system
    state: absent
"""

RETURN = r"""
config:
  description: The configuration as it is, or in check mode as it would be; the encryption key is masked.
  returned: success and O(state=present)
  type: dict
  contains:
    backup_id:
      description: The agent's number for the configuration. Not there in check mode for one that does not exist yet.
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
error_code:
  description: The agent's error code.
  returned: failure, when the agent refused
  type: int
  sample: 3005
error_name:
  description: The name of the error code.
  returned: failure, when the agent refused
  type: str
  sample: INVALID_PARAMETER
"""

from ansible_collections.papi.backup.plugins.module_utils import _resources
from ansible_collections.papi.backup.plugins.module_utils._argspec import AGENT, ArgumentSpec
from ansible_collections.papi.backup.plugins.module_utils._errors import UsageError
from ansible_collections.papi.backup.plugins.module_utils._module import run_module

PERIODS = ["deactivated", "yearly", "monthly", "weekly", "daily", "hourly"]
BACKUP_TYPES = ("full", "inc")
SCHEDULE_FIELDS = ("period", "frequency", "time_list", "day_run", "time_run")
NO_SCHEDULE = {"period": "deactivated", "frequency": 1, "time_list": [], "day_run": [], "time_run": []}

SCHEDULE_SPEC = {
    "period": {"type": "str", "choices": PERIODS, "required": True},
    "frequency": {"type": "int", "default": 1},
    "time_list": {"type": "list", "elements": "int", "default": []},
    "day_run": {"type": "list", "elements": "int", "default": []},
    "time_run": {"type": "list", "elements": "int", "default": []},
}

LEAST_CHARACTERS = 8
ARGUMENT_SPEC = AGENT + ArgumentSpec(
    {
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "backup_name": {"type": "str", "required": True, "aliases": ["name"]},
        "storage_name": {"type": "str", "aliases": ["storage"]},
        "encryption_key": {"type": "str", "no_log": True},
        "paths": {"type": "list", "elements": "str"},
        "excludes": {"type": "list", "elements": "str"},
        "full": {"type": "dict", "options": SCHEDULE_SPEC},
        "inc": {"type": "dict", "options": SCHEDULE_SPEC},
        "test": {"type": "bool", "default": False},
    }
)


def schedule_params(kind, schedule):
    """Return a schedule as add and edit want it."""
    return {"schedule_{0}_{1}".format(kind, field): schedule[field] for field in SCHEDULE_FIELDS}


def wanted_params(task, current):
    """Return the parameters of add or edit, without the storage.

    An edit replaces the schedules whole, so it repeats what is there; an absent key or list is kept.
    """
    wanted = {"backup_name": task.params["backup_name"]}
    if current is not None:
        wanted["backup_id"] = current["backup_id"]
    for kind in BACKUP_TYPES:
        wanted.update(schedule_params(kind, task.params[kind] or (current or {}).get(kind) or NO_SCHEDULE))
    wanted.update(task.given("encryption_key", "paths", "excludes"))
    if 0 < len(wanted.get("encryption_key", "")) < LEAST_CHARACTERS:
        task.warn("The encryption_key has fewer than {0} characters and is soon guessed.".format(LEAST_CHARACTERS))
    return wanted


def make_present(task, current):
    """Add or edit the configuration; return it as it is now, or would be."""
    wanted = wanted_params(task, current)
    storage_name = task.params["storage_name"] or (current or {}).get("storage_name")
    if storage_name is None:
        raise UsageError("a new configuration needs storage_name.")
    storage = _resources.storage_named(task.client, storage_name)
    if storage is None:
        if not task.check_mode:
            raise UsageError("there is no storage '{0}'.".format(storage_name))
        given = task.given("backup_name", "encryption_key", "paths", "excludes", *BACKUP_TYPES)
        given["storage_name"] = storage_name
        return task.assume(current or {}, given, "The storage '{0}'".format(storage_name))
    wanted["storage_id"] = storage["storage_id"]
    path = "backup-config/{0}".format("add" if current is None else "edit")
    change = task.change(path, wanted, shape=_resources.typed_config)
    return change.predicted if task.check_mode else _resources.config_named(task.client, task.params["backup_name"])


def run(task):
    """Bring the configuration into the wanted state."""
    name = task.params["backup_name"]
    with task.attempting("look for the backup configuration '{0}'".format(name)):
        current = _resources.config_named(task.client, name)
    if task.params["state"] == "absent":
        if current is not None:
            with task.attempting("remove the backup configuration '{0}'".format(name)):
                task.change("backup-config/del", {"backup_id": current["backup_id"]}, shape=_resources.typed_config)
        return
    verb = "add" if current is None else "change"
    with task.attempting("{0} the backup configuration '{1}'".format(verb, name)):
        task.result["config"] = make_present(task, current)
    if task.params["test"] and not task.check_mode:
        with task.attempting("use the backup configuration '{0}': its test failed".format(name)):
            task.client.change("backup-config/test", {"backup_id": task.result["config"]["backup_id"]})


def main():
    """Run the module."""
    run_module(ARGUMENT_SPEC, run)


if __name__ == "__main__":
    main()
