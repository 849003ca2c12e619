# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-lint, antsibull-docs and antsibull-changelog on a copy of the collection."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from gates.place import CACHE, REPOSITORY, collection_copy, virtual_environment
from gates.tally import GateError, Tally

TOOLS = "collection-tools"
_SKIPS = re.compile(r"^\s*(skip_list|warn_list|skip_action_validation)\s*:", re.MULTILINE)
_NOQA = re.compile(r"#\s*noqa")
_COUNT = re.compile(r"Passed: 0 failure\(s\), 0 warning\(s\) in (\d+) files")
_LINTED = ("playbooks", "roles", "extensions", "meta", "tests/integration")


def tools() -> Path:
    """Return the ``bin`` of the environment with the tools; they need other versions than the agent."""
    return virtual_environment(TOOLS, ["collection-tools.txt"])


def ansible_lint() -> Tally:
    """Profile production, offline, nothing skipped: no lists in the settings, no marks in the files."""
    copy = collection_copy("lint")
    settings = (REPOSITORY / ".ansible-lint").read_text()
    failures = [f".ansible-lint has a {name}" for name in _SKIPS.findall(settings)]
    if "profile: production" not in settings:
        failures.append(".ansible-lint does not ask for the profile production")
    failures += [f"{path.relative_to(copy)} skips a rule" for path in _marked(copy)]
    status, output = run_tool([str(tools() / "ansible-lint"), "--offline", "--nocolor", "--strict"], copy)
    counted = _COUNT.search(output)
    if status or not counted:
        failures.append("ansible-lint found something")
    return Tally(int(counted[1]) if counted else 0, tuple(failures))


def _marked(copy: Path) -> list[Path]:
    files = [path for place in _LINTED for path in sorted((copy / place).rglob("*.y*ml"))]
    return [path for path in files if _NOQA.search(path.read_text(errors="replace"))]


def collection_docs() -> Tally:
    """Documentation of all plugins and roles, their links and markup, and the pages of docs/docsite."""
    return _one(
        [
            *("antsibull-docs", "lint-collection-docs", "--plugin-docs", "--check-extra-docs-refs"),
            *("--validate-collection-refs=dependent", "."),
        ]
    )


def changelog() -> Tally:
    """The fragments and the changelog."""
    return _one(["antsibull-changelog", "lint"])


def _one(command: Sequence[str]) -> Tally:
    copy = collection_copy("lint")
    status, output = run_tool([str(tools() / command[0]), *command[1:]], copy)
    return Tally(0, (f"{command[0]} found something",)) if status or output.strip() else Tally(1)


def run_tool(command: Sequence[str], directory: Path, **variables: str) -> tuple[int, str]:
    """Run a tool with the collection importable; print and return what it said."""
    home = CACHE / "tools-home"
    home.mkdir(parents=True, exist_ok=True)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
        "PATH": f"{Path(command[0]).parent}:{os.environ.get('PATH', os.defpath)}",
        "ANSIBLE_COLLECTIONS_PATH": str(directory.parents[2]),
        "ANSIBLE_HOME": str(home),
        "LC_ALL": "C.UTF-8",
        **variables,
    }
    environment.pop("PYTHONPATH", None)
    try:
        done = subprocess.run(
            list(command),
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise GateError(f"{command[0]} does not run: {error}") from error
    print(done.stdout, flush=True)
    return done.returncode, done.stdout
