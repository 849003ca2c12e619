# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a storage host is told of the clients whatever has become of each of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

_ROOT = Path(__file__).parents[2]
_KEY = {"public_key": "ssh-ed25519 AAAA"}


def accounts_of(place: Path, clients: dict[str, dict[str, Any]]) -> list[str]:
    """Return whom the playbook would have accounts for, by what each client has registered."""
    plays = yaml.safe_load((_ROOT / "playbooks/site.yml").read_text())
    task = next(task for play in plays for task in play["tasks"] if task["name"] == "List the clients")
    told = place / "told.json"
    copy = {"content": "{{ papi_backup_accounts | to_json }}", "dest": str(told), "mode": "0600"}
    play = {
        "hosts": "backup_storage",
        "gather_facts": False,
        "tasks": [task, {"name": "Tell", "ansible.builtin.copy": copy}],
    }
    inventory = {
        "backup_storage": {"hosts": {"vault": {"ansible_connection": "local"}}},
        "backup_clients": {"hosts": clients},
    }
    (place / "play.yml").write_text(yaml.safe_dump([{"name": "Clients", **play}]))
    (place / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": inventory}}))
    command = Path(sys.executable).with_name("ansible-playbook")
    ended = subprocess.run(
        [
            command,
            "-i",
            place / "hosts.yml",
            "-e",
            f"ansible_python_interpreter={sys.executable}",
            place / "play.yml",
        ],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "ANSIBLE_LOCAL_TEMP": str(place / "local"),
            "ANSIBLE_REMOTE_TEMP": str(place / "remote"),
        },
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return [account["name"] for account in json.loads(told.read_text())]


def test_a_client_that_could_not_be_asked_keeps_what_it_has_and_the_others_get_their_accounts(
    tmp_path: Path,
) -> None:
    clients = {
        "sound": {"papi_backup_ssh_id": _KEY, "papi_backup_before": {"storages": []}},
        "mute": {"papi_backup_ssh_id": _KEY, "papi_backup_before": {"failed": True, "msg": "no answer"}},
        "away": {},
        "fresh": {"papi_backup_ssh_id": {"skipped": True}, "papi_backup_before": {"skipped": True}},
    }
    assert accounts_of(tmp_path, clients) == ["sound"]
