# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role backup_agent refuses before it touches a host."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def roles(tmp_path: Path) -> Path:
    """The role as git has it: without the wheel that a build puts into it."""
    wheels = shutil.ignore_patterns("*.whl")
    shutil.copytree(REPOSITORY / "roles/backup_agent", tmp_path / "roles/backup_agent", ignore=wheels)
    return tmp_path / "roles"


def refusal(roles: Path, **variables: str) -> str:
    """Run the role in check mode on this machine, which must end with a refusal; return its words."""
    playbook = roles.parent / "play.yml"
    playbook.write_text(
        json.dumps([{"hosts": "localhost", "gather_facts": False, "roles": ["backup_agent"]}])
    )
    given = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "backup_agent_python": sys.executable,
        **variables,
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    command = [Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", "--check", playbook]
    done = subprocess.run(
        [*command, "-e", json.dumps(given)],
        env=kept | {"ANSIBLE_ROLES_PATH": str(roles), "ANSIBLE_HOME": str(roles.parent / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "changed=0" in done.stdout
    return " ".join(done.stdout.split())


def test_a_collection_from_git_says_what_to_run_for_the_wheel_that_it_lacks(roles: Path) -> None:
    assert "has no wheel in roles/backup_agent/files: run make build in the checkout" in refusal(roles)


def test_an_empty_wheelhouse_is_named_with_what_fills_it(roles: Path, tmp_path: Path) -> None:
    words = refusal(roles, backup_agent_source="wheelhouse", backup_agent_wheelhouse=str(tmp_path / "wheels"))
    assert f"backup_agent_wheelhouse, {tmp_path / 'wheels'}, on the controller; make wheelhouse" in words


def test_a_wheel_of_something_else_is_refused(roles: Path) -> None:
    words = refusal(roles, backup_agent_wheel="https://packages.example.com/other-1.0.0-py3-none-any.whl")
    assert "backup_agent_wheel must end with the name of a wheel, papi_backup_agent-VERSION" in words


def test_a_python_that_is_too_old_is_named(roles: Path, tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\necho 3.9\n")
    old.chmod(0o755)
    words = refusal(roles, backup_agent_python=str(old))
    assert f"needs Python 3.11 or newer, and {old} on localhost is 3.9; set backup_agent_python" in words


def test_a_choice_that_there_is_not_is_refused_by_the_spec(roles: Path) -> None:
    assert "value of backup_agent_source must be one of" in refusal(roles, backup_agent_source="snap")
