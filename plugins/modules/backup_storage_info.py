#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_storage_info
version_added: "1.0.0"
short_description: List the storages of an agent
description:
  - Returns the storages that an agent knows. Secrets are masked.
author:
  - papi.backup contributors (@papi-backup)
extends_documentation_fragment:
  - papi.backup._agent
  - papi.backup._attributes.info
options:
  storage_name:
    description: Return only the storage of this name.
    type: str
    aliases: [name]
  type:
    description: Return only storages of this type.
    type: str
    choices: [ssh, s3]
seealso:
  - module: papi.backup.backup_storage
"""

EXAMPLES = r"""
- name: List the SSH storages
  papi.backup.backup_storage_info:
    type: ssh
  register: known
"""

RETURN = r"""
storages:
  description: The storages that pass all filters, in order of creation.
  returned: success
  type: list
  elements: dict
  contains:
    storage_id:
      description: The agent's number for the storage.
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
"""

from ansible_collections.papi.backup.plugins.module_utils import _resources
from ansible_collections.papi.backup.plugins.module_utils._argspec import AGENT, ArgumentSpec
from ansible_collections.papi.backup.plugins.module_utils._module import run_module

ARGUMENT_SPEC = AGENT + ArgumentSpec(
    {
        "storage_name": {"type": "str", "aliases": ["name"]},
        "type": {"type": "str", "choices": ["ssh", "s3"]},
    }
)


def run(task):
    """List the storages."""
    with task.attempting("list the storages"):
        found = _resources.storages(task.client)
    task.result["storages"] = _resources.matching(found, **task.given("storage_name", "type"))


def main():
    """Run the module."""
    run_module(ARGUMENT_SPEC, run)


if __name__ == "__main__":
    main()
