#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_storage
version_added: "1.0.0"
short_description: Manage the storages that an agent backs up to
description:
  - Adds, changes and removes the SSH and S3 storages of a papi.backup agent, and tests them.
  - Removing a storage removes the agent's knowledge of it, never the backups that lie there.
author:
  - papi.backup contributors (@papi-backup)
extends_documentation_fragment:
  - papi.backup._agent
  - papi.backup._attributes
options:
  state:
    description:
      - V(present) adds the storage or changes it to what is given here. Options that are not given keep their value.
      - V(absent) removes it. That is refused while a backup configuration uses it, unless O(remove_configs) is set.
    type: str
    choices: [present, absent]
    default: present
  storage_name:
    description:
      - The name of the storage, unique on the agent.
    type: str
    required: true
    aliases: [name]
  type:
    description:
      - The kind of storage. Required with O(state=present).
      - The type of an existing storage cannot be changed; the module refuses to.
    type: str
    choices: [ssh, s3]
  server_name:
    description:
      - Name or address of the SSH server. Required for a new storage of O(type=ssh).
    type: str
  ssh_port:
    description:
      - Port of the SSH server. A new storage gets V(22) unless told otherwise.
    type: int
  ssh_username:
    description:
      - The user to log in as. Required for a new storage of O(type=ssh).
    type: str
  ssh_id:
    description:
      - Name of the SSH id to log in with, as in O(papi.backup.backup_ssh_id#module:key_name).
        Required for a new storage of O(type=ssh).
    type: str
  storage_base:
    description:
      - Full path of the directory on the server. Required for a new storage of O(type=ssh).
    type: str
  host_key:
    description:
      - The public host key of the SSH server, as V(ssh-ed25519 AAAA...), without a host name.
      - When it has never been given, the key that the first successful contact finds is pinned.
        A server that shows another key later is refused.
      - Left out, what is pinned stays, unless O(server_name) or O(ssh_port) changes; then it is forgotten.
    type: str
  aws_key_id:
    description:
      - The access key's identifier. Required for a new storage of O(type=s3).
    type: str
  aws_secret_key:
    description:
      - The secret access key. Required for a new storage of O(type=s3).
      - It is compared by the agent, so giving it does not make a task report a change.
    type: str
  bucket_name:
    description:
      - The bucket. It must exist. Required for a new storage of O(type=s3).
    type: str
  file_size:
    description:
      - Size in mebibytes above which no object is written. A new storage gets V(32) unless told otherwise.
    type: int
  endpoint_url:
    description:
      - The URL of an S3-compatible server; Amazon's unless given.
    type: str
  region:
    description:
      - The region to sign requests for.
    type: str
  prefix:
    description:
      - A prefix for all keys in the bucket, so that one bucket serves several purposes.
    type: str
  test:
    description:
      - Whether to test the storage, after a change or without one. The task fails when the test does.
      - Not done in check mode, because a successful test may pin the server's host key.
    type: bool
    default: false
  remove_configs:
    description:
      - With O(state=absent), remove the backup configurations that use the storage as well, before it.
      - What was backed up stays on the storage.
    type: bool
    default: false
seealso:
  - module: papi.backup.backup_storage_info
  - module: papi.backup.backup_ssh_id
  - module: papi.backup.backup_config
"""

EXAMPLES = r"""
- name: Back up to an SSH server
  papi.backup.backup_storage:
    storage_name: vault
    type: ssh
    server_name: vault.example.com
    ssh_username: papi
    ssh_id: vault
    storage_base: /srv/backup
    host_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8Yc0XH1Fw1fqmbbJk9pQzCsSQXyKGQmFXBlSg1xn5c
    test: true

- name: Back up to a bucket of an S3-compatible server
  papi.backup.backup_storage:
    storage_name: bucket
    type: s3
    aws_key_id: "{{ backup_key_id }}"
    aws_secret_key: "{{ backup_secret_key }}"
    bucket_name: backups
    endpoint_url: https://s3.example.com
    file_size: 64

- name: Forget a storage; its backups stay where they are
  papi.backup.backup_storage:
    storage_name: old
    state: absent

- name: Forget a storage and all backup configurations that use it
  papi.backup.backup_storage:
    storage_name: older
    state: absent
    remove_configs: true
"""

RETURN = r"""
storage:
  description:
    - The storage as the agent lists it, secrets masked; in check mode as it would be.
  returned: success and O(state=present)
  type: dict
  contains:
    storage_id:
      description: The agent's number for the storage. Not there in check mode for a storage that does not exist yet.
      type: int
      returned: always
      sample: 1
    storage_name:
      description: Its name.
      type: str
      returned: always
      sample: vault
    type:
      description: Its type.
      type: str
      returned: always
      sample: ssh
    username:
      description: The user on the SSH server.
      type: str
      returned: type is ssh
      sample: papi
    server_name:
      description: The SSH server.
      type: str
      returned: type is ssh
      sample: vault.example.com
    ssh_port:
      description: Its port.
      type: int
      returned: type is ssh
      sample: 22
    ssh_id:
      description: Name of the SSH id.
      type: str
      returned: type is ssh
      sample: vault
    ssh_id_id:
      description: The agent's number for the SSH id.
      type: int
      returned: type is ssh
      sample: 1
    storage_base:
      description: The directory on the server.
      type: str
      returned: type is ssh
      sample: /srv/backup
    host_key:
      description: The server's pinned host key; empty until one is given or found.
      type: str
      returned: type is ssh
      sample: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8Yc0XH1Fw1fqmbbJk9pQzCsSQXyKGQmFXBlSg1xn5c
    aws_key_id:
      description: The access key's identifier.
      type: str
      returned: type is s3
      sample: AKIAIOSFODNN7EXAMPLE
    aws_secret_key:
      description: Masked.
      type: str
      returned: type is s3
      sample: "********"
    bucket_name:
      description: The bucket.
      type: str
      returned: type is s3
      sample: backups
    file_size:
      description: Largest object in mebibytes.
      type: int
      returned: type is s3
      sample: 64
    endpoint_url:
      description: The S3-compatible server; empty for Amazon's.
      type: str
      returned: type is s3
      sample: https://s3.example.com
    region:
      description: The region.
      type: str
      returned: type is s3
      sample: us-east-1
    prefix:
      description: The prefix of all keys.
      type: str
      returned: type is s3
      sample: db1/
removed_configs:
  description: The names of the backup configurations that were removed with the storage, in check mode would be.
  returned: when O(state=absent) and O(remove_configs) is set
  type: list
  elements: str
  sample: [system]
error_code:
  description: The agent's error code.
  returned: failure, when the agent refused
  type: int
  sample: 4001
error_name:
  description: The name of the error code.
  returned: failure, when the agent refused
  type: str
  sample: INVALID_STORAGE
"""

from ansible_collections.papi.backup.plugins.module_utils import _resources
from ansible_collections.papi.backup.plugins.module_utils._argspec import AGENT, ArgumentSpec
from ansible_collections.papi.backup.plugins.module_utils._errors import UsageError
from ansible_collections.papi.backup.plugins.module_utils._module import run_module

SSH_OPTIONS = ("server_name", "ssh_port", "ssh_username", "ssh_id", "storage_base", "host_key")
S3_OPTIONS = ("aws_key_id", "aws_secret_key", "bucket_name", "file_size", "endpoint_url", "region", "prefix")
OPTIONS_OF = {"ssh": SSH_OPTIONS, "s3": S3_OPTIONS}

# What an edit must repeat (it replaces these whole), by the name the list gives it.
LISTED_AS = {
    "ssh": {
        "server_name": "server_name",
        "ssh_port": "ssh_port",
        "ssh_username": "username",
        "ssh_id_id": "ssh_id_id",
        "storage_base": "storage_base",
    },
    "s3": {"aws_key_id": "aws_key_id", "bucket_name": "bucket_name", "file_size": "file_size"},
}
NEW_DEFAULTS = {"ssh": {"ssh_port": 22}, "s3": {"file_size": 32}}

ARGUMENT_SPEC = AGENT + ArgumentSpec(
    {
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "storage_name": {"type": "str", "required": True, "aliases": ["name"]},
        "type": {"type": "str", "choices": ["ssh", "s3"]},
        "server_name": {"type": "str"},
        "ssh_port": {"type": "int"},
        "ssh_username": {"type": "str"},
        "ssh_id": {"type": "str"},
        "storage_base": {"type": "str"},
        "host_key": {"type": "str", "no_log": False},
        "aws_key_id": {"type": "str", "no_log": False},
        "aws_secret_key": {"type": "str", "no_log": True},
        "bucket_name": {"type": "str"},
        "file_size": {"type": "int"},
        "endpoint_url": {"type": "str"},
        "region": {"type": "str"},
        "prefix": {"type": "str"},
        "test": {"type": "bool", "default": False},
        "remove_configs": {"type": "bool", "default": False},
    },
    required_if=[("state", "present", ["type"])],
)


def refuse_misplaced_options(params):
    """Refuse options that the other type of storage has."""
    other = "s3" if params["type"] == "ssh" else "ssh"
    misplaced = [name for name in OPTIONS_OF[other] if params[name] is not None]
    if misplaced:
        raise UsageError(
            "a storage of type {0} has no {1}; that belongs to type {2}.".format(
                params["type"], ", ".join(misplaced), other
            )
        )


def wanted_params(task, current):
    """Return the parameters of add or edit, and the name of an SSH id that they miss."""
    kind = task.params["type"]
    wanted = {"storage_name": task.params["storage_name"]}
    if current is None:
        wanted.update(NEW_DEFAULTS[kind])
    else:
        wanted["storage_id"] = current["storage_id"]
        wanted.update((name, current[listed]) for name, listed in LISTED_AS[kind].items())
    wanted.update(task.given(*OPTIONS_OF[kind]))
    missing_ssh_id = None
    if "ssh_id" in wanted:
        name = wanted.pop("ssh_id")
        ssh_id = _resources.ssh_id_named(task.client, name)
        if ssh_id is None:
            missing_ssh_id = name
        else:
            wanted["ssh_id_id"] = ssh_id["ssh_id_id"]
    return wanted, missing_ssh_id


def make_present(task, current):
    """Add or edit the storage; return it as it is now, or would be."""
    name, kind = task.params["storage_name"], task.params["type"]
    if current is not None and current["type"] != kind:
        raise UsageError(
            "it is of type {0} and cannot become {1}. Remove it first, or choose another name.".format(
                current["type"], kind
            )
        )
    wanted, missing_ssh_id = wanted_params(task, current)
    if missing_ssh_id is not None:
        if not task.check_mode:
            raise UsageError("there is no SSH id '{0}'.".format(missing_ssh_id))
        given = dict(wanted, type=kind, ssh_id=missing_ssh_id)
        return task.assume(current or {}, given, "The SSH id '{0}'".format(missing_ssh_id))
    change = task.change("storage/{0}/{1}".format(kind, "add" if current is None else "edit"), wanted)
    return change.predicted if task.check_mode else _resources.storage_named(task.client, name)


def make_absent(task, current):
    """Remove the storage if it is there, and before it, if told to, the configurations that use it."""
    name, users = task.params["storage_name"], []
    if task.params["remove_configs"]:
        with task.attempting("look for the backup configurations that use the storage '{0}'".format(name)):
            users = _resources.matching(task.client.query("backup-config/list"), storage_name=name) if current else []
        task.result["removed_configs"] = [config["backup_name"] for config in users]
    for config in users:
        with task.attempting("remove the backup configuration '{0}'".format(config["backup_name"])):
            task.change("backup-config/del", {"backup_id": config["backup_id"]})
    # Of a storage that is still in use, the agent's dry run would be a refusal.
    if current is not None and not (users and task.check_mode):
        with task.attempting("remove the storage '{0}'".format(name)):
            task.change("storage/del", {"storage_id": current["storage_id"]})
    if users:
        task.record(True, dict(current, configs=task.result["removed_configs"]), {})


def test(task, storage):
    """Test the storage; a host key that gets pinned by it is a change."""
    task.client.change("storage/test", {"storage_name": storage["storage_name"]})
    tested = _resources.storage_named(task.client, storage["storage_name"])
    if tested.get("host_key") != storage.get("host_key"):
        before = task.result["diff"]["before"] if task.result["changed"] else storage
        task.record(True, before, tested)
    return tested


def run(task):
    """Bring the storage into the wanted state."""
    name = task.params["storage_name"]
    with task.attempting("look for the storage '{0}'".format(name)):
        current = _resources.storage_named(task.client, name)
    if task.params["state"] == "absent":
        make_absent(task, current)
        return
    with task.attempting("{0} the storage '{1}'".format("add" if current is None else "change", name)):
        refuse_misplaced_options(task.params)
        task.result["storage"] = make_present(task, current)
    if task.params["test"] and not task.check_mode:
        with task.attempting("use the storage '{0}': its test failed".format(name)):
            task.result["storage"] = test(task, task.result["storage"])


def main():
    """Run the module."""
    run_module(ARGUMENT_SPEC, run)


if __name__ == "__main__":
    main()
