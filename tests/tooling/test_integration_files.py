# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-test copies the files that a target names and no others: what starts the servers must be whole."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
ALIASES = ROOT / "tests/integration/targets/setup_papi_backup/aliases"
FIRST = "everything"


def imported(module: str) -> set[str]:
    """Return the modules of ``realparts`` that one of them imports."""
    tree = ast.parse((ROOT / f"tests/realparts/{module}.py").read_text())
    named = (node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module)
    return {name.removeprefix("realparts.") for name in named if name.startswith("realparts.")}


def test_the_target_names_every_file_that_starting_the_servers_imports() -> None:
    needed, waiting = set[str](), {FIRST}
    while waiting:
        module = waiting.pop()
        needed.add(module)
        waiting |= imported(module) - needed
    lines = ALIASES.read_text().splitlines()
    named = {Path(line).stem for line in lines if line.startswith("needs/file/tests/realparts/")}
    assert named == needed | {"__init__"}
