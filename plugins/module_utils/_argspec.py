# -*- coding: utf-8 -*-
# SPDX-FileCopyrightText: papi.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Argument specs with their constraints, as one object; each shared one pairs with a doc fragment of the same name.

Private to papi.backup: it may change in any release.
"""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule, env_fallback

DEFAULT_SOCKET = "/run/papi-backup/agent.sock"

_CONSTRAINTS = ("mutually_exclusive", "required_together", "required_one_of", "required_if")


class ArgumentSpec:
    """Options and what must hold between them; ``a + b`` joins two."""

    def __init__(self, options, required_by=None, **constraints):
        unknown = set(constraints) - set(_CONSTRAINTS)
        if unknown:
            raise TypeError("no such constraints: {0}".format(", ".join(sorted(unknown))))
        self.options = dict(options)
        self.required_by = dict(required_by or {})
        self.constraints = {name: list(constraints.get(name, ())) for name in _CONSTRAINTS}

    def __add__(self, other):
        twice = set(self.options) & set(other.options)
        if twice:
            raise ValueError("options given twice: {0}".format(", ".join(sorted(twice))))
        joined = ArgumentSpec(dict(self.options, **other.options), dict(self.required_by, **other.required_by))
        for name in _CONSTRAINTS:
            joined.constraints[name] = self.constraints[name] + other.constraints[name]
        return joined

    def create_module(self):
        """Return the AnsibleModule; every module of this collection supports check mode."""
        return AnsibleModule(
            argument_spec=self.options,
            required_by=self.required_by,
            supports_check_mode=True,
            **self.constraints
        )


# Doc fragment: papi.backup._agent
AGENT = ArgumentSpec(
    {
        "agent_socket": {
            "type": "path",
            "default": DEFAULT_SOCKET,
            "fallback": (env_fallback, ["PAPI_BACKUP_SOCKET"]),
        },
        "agent_url": {"type": "str", "fallback": (env_fallback, ["PAPI_BACKUP_URL"])},
        "agent_username": {"type": "str", "fallback": (env_fallback, ["PAPI_BACKUP_USERNAME"])},
        "agent_password": {"type": "str", "no_log": True, "fallback": (env_fallback, ["PAPI_BACKUP_PASSWORD"])},
        "agent_token": {"type": "str", "no_log": True, "fallback": (env_fallback, ["PAPI_BACKUP_TOKEN"])},
        "agent_timeout": {"type": "int", "default": 60, "fallback": (env_fallback, ["PAPI_BACKUP_TIMEOUT"])},
        "validate_certs": {
            "type": "bool",
            "default": True,
            "fallback": (env_fallback, ["PAPI_BACKUP_VALIDATE_CERTS"]),
        },
        "ca_path": {"type": "path", "fallback": (env_fallback, ["PAPI_BACKUP_CA_PATH"])},
    },
    mutually_exclusive=[("agent_password", "agent_token")],
    required_by={"agent_password": ["agent_username"], "agent_token": ["agent_username"]},
)

# Doc fragment: papi.backup._wait
WAIT = ArgumentSpec(
    {
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 86400},
        "wait_sleep": {"type": "float", "default": 5.0},
    }
)
