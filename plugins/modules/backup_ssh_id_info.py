#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_ssh_id_info
version_added: "1.0.0"
short_description: List the SSH ids of an agent
description:
  - Returns the SSH ids that an agent knows, with their public keys. Private keys never leave the agent.
author:
  - papi.backup contributors (@papi-backup)
extends_documentation_fragment:
  - papi.backup._agent
  - papi.backup._attributes.info
options:
  key_name:
    description: Return only the SSH id of this name.
    type: str
    aliases: [name]
seealso:
  - module: papi.backup.backup_ssh_id
"""

EXAMPLES = r"""
- name: Read the public key of an SSH id
  papi.backup.backup_ssh_id_info:
    key_name: vault
  register: known

- name: Show it
  ansible.builtin.debug:
    msg: "{{ known.ssh_ids | map(attribute='public_key') }}"
"""

RETURN = r"""
ssh_ids:
  description: The SSH ids that pass the filter, in order of creation.
  returned: success
  type: list
  elements: dict
  contains:
    ssh_id_id:
      description: The agent's number for it.
      type: int
      returned: always
      sample: 1
    key_name:
      description: Its name.
      type: str
      returned: always
      sample: vault
    key_length:
      description: Its length in bits.
      type: int
      returned: always
      sample: 3072
    public_key:
      description: The public part, one line for C(authorized_keys).
      type: str
      returned: always
      sample: ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQDexample root@db1.example.com
"""

from ansible_collections.papi.backup.plugins.module_utils import _resources
from ansible_collections.papi.backup.plugins.module_utils._argspec import AGENT, ArgumentSpec
from ansible_collections.papi.backup.plugins.module_utils._module import run_module

ARGUMENT_SPEC = AGENT + ArgumentSpec({"key_name": {"type": "str", "aliases": ["name"], "no_log": False}})


def run(task):
    """List the SSH ids."""
    with task.attempting("list the SSH ids"):
        found = _resources.matching(_resources.ssh_ids(task.client), **task.given("key_name"))
        task.result["ssh_ids"] = [
            dict(ssh_id, public_key=_resources.public_key(task.client, ssh_id)) for ssh_id in found
        ]


def main():
    """Run the module."""
    run_module(ARGUMENT_SPEC, run)


if __name__ == "__main__":
    main()
