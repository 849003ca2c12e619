# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connection options that every module of papi.backup shares; pairs with AGENT in module_utils/_argspec.py."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of the connection to the agent."""

    DOCUMENTATION = r"""
options:
  agent_socket:
    description:
      - The unix socket of the agent on the host.
      - The agent knows the caller by the user who connects; V(root) is an administrator. So most tasks need C(become=true).
      - If the value is not specified in the task, the value of the environment variable E(PAPI_BACKUP_SOCKET)
        on the target is used instead.
      - Ignored when O(agent_url) is set.
    type: path
    default: /run/papi-backup/agent.sock
  agent_url:
    description:
      - Where the agent listens on TCP, for example V(https://db1.example.com:8480). It takes the place of the socket.
      - If the value is not specified in the task, the value of the environment variable E(PAPI_BACKUP_URL)
        on the target is used instead.
    type: str
  agent_username:
    description:
      - The account to log in with. Needed with O(agent_url); a socket needs none.
      - If the value is not specified in the task, the value of the environment variable E(PAPI_BACKUP_USERNAME)
        on the target is used instead.
    type: str
  agent_password:
    description:
      - The password of O(agent_username).
      - If the value is not specified in the task, the value of the environment variable E(PAPI_BACKUP_PASSWORD)
        on the target is used instead.
    type: str
  agent_token:
    description:
      - The API token of O(agent_username), in place of O(agent_password).
      - If the value is not specified in the task, the value of the environment variable E(PAPI_BACKUP_TOKEN)
        on the target is used instead.
    type: str
  agent_timeout:
    description:
      - Seconds to wait for each answer of the agent. Waiting for a job does not count.
      - If the value is not specified in the task, the value of the environment variable E(PAPI_BACKUP_TIMEOUT)
        on the target is used instead.
    type: int
    default: 60
  validate_certs:
    description:
      - Whether to check the certificate of O(agent_url).
      - If the value is not specified in the task, the value of the environment variable E(PAPI_BACKUP_VALIDATE_CERTS)
        on the target is used instead.
    type: bool
    default: true
  ca_path:
    description:
      - A file of PEM certificates of the authorities that may sign the certificate of O(agent_url).
      - If the value is not specified in the task, the value of the environment variable E(PAPI_BACKUP_CA_PATH)
        on the target is used instead.
    type: path
notes:
  - The module needs nothing on the target but Python 3.8 or newer. It runs on the host of the agent,
    or, with O(agent_url), on any host that reaches it.
  - Whoever may use the agent's API as an administrator can read and write every file of its host.
"""
