#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_ssh_id
version_added: "1.0.0"
short_description: Manage the SSH ids that an agent logs in to SSH storages with
description:
  - Generates, regenerates and removes SSH ids, and returns their public keys.
  - The private key is made by the agent and never leaves it.
author:
  - papi.backup contributors (@papi-backup)
extends_documentation_fragment:
  - papi.backup._agent
  - papi.backup._attributes
attributes:
  idempotent:
    support: partial
    details:
      - With O(regenerate=always) each run makes a new key.
options:
  state:
    description:
      - V(present) makes sure that the SSH id exists.
      - V(absent) removes it. The agent refuses that while a storage uses it.
    type: str
    choices: [present, absent]
    default: present
  key_name:
    description:
      - The name of the SSH id, unique on the agent.
    type: str
    required: true
    aliases: [name]
  key_length:
    description:
      - Length of the key in bits, a multiple of 64 from V(2048) to V(4096) for an RSA key; V(256) makes an Ed25519 key.
      - A new key gets V(3072) bits unless told otherwise.
    type: int
  regenerate:
    description:
      - What to do with an SSH id that exists already.
      - V(never) keeps it as it is.
      - V(fail) keeps it, and fails when its length is not O(key_length).
      - V(mismatch) makes a new key when its length is not O(key_length).
      - V(always) makes a new key every time.
      - A new key has a new public part, which every server must be told. The agent refuses to make one
        while a storage uses the SSH id. Then add an SSH id under another name, authorise its public key,
        change the storages to it, and remove the old one.
    type: str
    choices: [never, fail, mismatch, always]
    default: fail
seealso:
  - module: papi.backup.backup_ssh_id_info
  - module: papi.backup.backup_storage
  - module: ansible.posix.authorized_key
"""

EXAMPLES = r"""
- name: Have an SSH id
  papi.backup.backup_ssh_id:
    key_name: vault
  register: ssh_id

- name: Authorise it on the storage host
  ansible.builtin.lineinfile:
    path: /home/papi/.ssh/authorized_keys
    line: "{{ ssh_id.public_key }}"
    mode: "0600"
  delegate_to: vault.example.com

- name: Make a longer key if the present one is shorter
  papi.backup.backup_ssh_id:
    key_name: spare
    key_length: 4096
    regenerate: mismatch

- name: Remove an SSH id that no storage uses
  papi.backup.backup_ssh_id:
    key_name: old
    state: absent
"""

RETURN = r"""
ssh_id:
  description: The SSH id as the agent lists it; in check mode as it would be.
  returned: success and O(state=present)
  type: dict
  contains:
    ssh_id_id:
      description: The agent's number for it. Not there in check mode for a key that does not exist yet.
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
  description:
    - The public part, one line for C(authorized_keys).
    - Null in check mode for a key that does not exist yet.
  returned: success and O(state=present)
  type: str
  sample: ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQDexample root@db1.example.com
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

DEFAULT_KEY_LENGTH = 3072

ARGUMENT_SPEC = AGENT + ArgumentSpec(
    {
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "key_name": {"type": "str", "required": True, "aliases": ["name"], "no_log": False},
        "key_length": {"type": "int", "no_log": False},
        "regenerate": {"type": "str", "choices": ["never", "fail", "mismatch", "always"], "default": "fail"},
    }
)


def must_regenerate(params, current):
    """Apply the policy to an SSH id that exists."""
    policy, wanted = params["regenerate"], params["key_length"]
    mismatch = wanted is not None and current["key_length"] != wanted
    if mismatch and policy == "fail":
        raise UsageError(
            "it has {0} bits, not {1}. regenerate=mismatch makes a new key, regenerate=never keeps this one.".format(
                current["key_length"], wanted
            )
        )
    return policy == "always" or (mismatch and policy == "mismatch")


def generate(task):
    """Make a key that is not there yet."""
    return task.change(
        "ssh-id/new",
        {"key_name": task.params["key_name"], "key_length": task.params["key_length"] or DEFAULT_KEY_LENGTH},
    ).after


def regenerate(task, current):
    """Replace a key.  The new one is validated before the old one goes."""
    length = task.params["key_length"] or current["key_length"]
    task.client.plan("ssh-id/new", {"key_name": current["key_name"] + "-new", "key_length": length})
    task.change("ssh-id/del", {"ssh_id_id": current["ssh_id_id"]})
    if not task.check_mode:
        task.client.change("ssh-id/new", {"key_name": current["key_name"], "key_length": length})
    after = {"key_name": current["key_name"], "key_length": length}
    task.record(True, current, after)
    return after


def run(task):
    """Bring the SSH id into the wanted state."""
    name = task.params["key_name"]
    with task.attempting("look for the SSH id '{0}'".format(name)):
        current = _resources.ssh_id_named(task.client, name)
    if task.params["state"] == "absent":
        if current is not None:
            with task.attempting("remove the SSH id '{0}'".format(name)):
                task.change("ssh-id/del", {"ssh_id_id": current["ssh_id_id"]})
        return
    kept, planned = current, None
    if current is None:
        with task.attempting("generate the SSH id '{0}'".format(name)):
            planned = generate(task)
    else:
        with task.attempting("keep or regenerate the SSH id '{0}'".format(name)):
            if must_regenerate(task.params, current):
                kept, planned = None, regenerate(task, current)
    if kept is None and task.check_mode:
        task.result.update(ssh_id=planned, public_key=None)
        return
    with task.attempting("read the public key of the SSH id '{0}'".format(name)):
        ssh_id = kept or _resources.ssh_id_named(task.client, name)
        task.result.update(ssh_id=ssh_id, public_key=_resources.public_key(task.client, ssh_id))


def main():
    """Run the module."""
    run_module(ARGUMENT_SPEC, run)


if __name__ == "__main__":
    main()
