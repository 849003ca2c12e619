# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that gives clients their accounts on a storage host."""

from __future__ import annotations

DOCUMENTATION = r"""
name: ssh_accounts
version_added: "1.0.0"
short_description: Tell which account of a storage host is which client's
author:
  - papi.backup contributors (@papi-backup)
description:
  - For the role P(papi.backup.backup_ssh_target#role), which passes what it has found on the storage host.
    It is not meant to be used by itself.
positional: _input, looked
options:
  _input:
    description: The clients, each with C(name) and, as options of the role, C(user), C(public_keys), C(logs_in_as) and C(state).
    type: list
    elements: dict
    required: true
  looked:
    description: What the role has found on the storage host.
    type: str
    required: true
  move:
    description: Whether a client whose account is another's gets one of its own.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Give each client its account
  ansible.builtin.set_fact:
    accounts: "{{ backup_ssh_target_clients | papi.backup.ssh_accounts(looked.stdout, move=true) }}"
"""

RETURN = r"""
_value:
  description:
    - C(accounts) is a list with C(name), C(user), C(public_keys), C(state) and C(moved), whether its agent logs in to another by now,
      of each client that has an account or gets one.
    - C(problems) is a list of sentences on what cannot be had, and why. Where it is not empty nothing may be changed.
  type: dict
"""

from ansible.errors import AnsibleFilterError
from ansible_collections.papi.backup.plugins.plugin_utils._accounts import Plan


def ssh_accounts(clients, looked, move=False):
    """Return the accounts and the problems; raises AnsibleFilterError where what was found is not whole."""
    try:
        plan = Plan(clients, looked, move)
    except ValueError as error:
        raise AnsibleFilterError("papi.backup.ssh_accounts: %s" % error)
    return {"accounts": plan.accounts, "problems": plan.problems}


class FilterModule:
    """What Ansible asks for the filters of this file."""

    def filters(self):
        """Return them by name."""
        return {"ssh_accounts": ssh_accounts}
