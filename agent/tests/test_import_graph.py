# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's rooms import in one direction, without circles, and no file grows beyond what can be read."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src"
REPOSITORY = ROOT.parents[1]
PACKAGE = "papi_backup"
LONGEST_FILE = 450

ROOMS = (
    ("daemon", "agent", "systemd", "stop_signals", "interpreter", "cli"),
    ("api",),
    ("services",),
    ("scheduler",),
    ("jobs",),
    ("engine",),
    ("config", "limit_settings", "toml_table"),
    ("state",),
    ("model", "host_paths", "confinement", "memory_limit"),
)
"""From top to bottom; a room imports from its own line and from lines below."""

ENGINE = (
    ("restore", "backup"),
    ("authentic", "high_water"),
    ("opened",),
    ("catalog", "keyring"),
    ("crypto", "compression"),
    ("storage", "format"),
    ("patterns", "beneath", "inode_numbers", "child_process", "termination"),
)
"""The rooms of the engine from top to bottom; each imports from lines below its own and from itself."""

BELOW_THE_ENGINE = {"model", "host_paths", "confinement", "memory_limit"}
"""What the engine needs beside itself; its orders bring the rest."""

PURE = {
    *("__future__", "base64", "collections", "dataclasses", "datetime", "itertools", "json", "operator"),
    *("orjson", "re", "reprlib", "struct", "typing"),
}
"""What ``engine/format`` may import: nothing that reads, writes, waits, tells the time or draws at random."""

WORKER_SIDE = (
    "papi_backup.engine",
    "papi_backup.jobs.worker",
    "papi_backup.jobs.query_worker",
)
"""What runs in processes of its own, and what only they import."""

HEAVY = ("boto3", "botocore", "paramiko", "papi_backup.engine")
"""What the daemon must never import: it stays small, and a hanging server hangs a helper process only."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted((ROOT / PACKAGE).rglob("*.py"))}


@cache
def imports_of(module: str) -> set[str]:
    """Return the dotted names ``module`` imports, wherever in the file; ours as modules that exist."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            base = node.module or ""
            found |= {_existing(base, alias.name) for alias in node.names}
    return found


def _existing(base: str, name: str) -> str:
    return f"{base}.{name}" if f"{base}.{name}" in MODULES else base


def ours(module: str) -> set[str]:
    return {name for name in imports_of(module) if name in MODULES} - {module}


GRAPH = {module: ours(module) for module in MODULES}


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


LEVELS = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}


def test_no_import_goes_in_a_circle() -> None:
    try:
        TopologicalSorter(GRAPH).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")


def test_every_room_has_its_place_in_the_order() -> None:
    assert {room_of(module) for module in MODULES} - {""} <= LEVELS.keys()


def test_imports_between_rooms_go_downwards_only() -> None:
    upward = [
        f"{module} imports {imported}"
        for module, imports in GRAPH.items()
        for imported in sorted(imports)
        if room_of(module) and room_of(imported) and LEVELS[room_of(imported)] < LEVELS[room_of(module)]
    ]
    assert upward == []


def engine_room(module: str) -> str:
    parts = module.split(".")
    return parts[2] if parts[1:2] == ["engine"] and len(parts) > 2 else ""


ENGINE_LEVELS = {room: level for level, rooms in enumerate(ENGINE) for room in rooms}
ENGINE_GRAPH = {module: imports for module, imports in GRAPH.items() if engine_room(module)}


def test_every_room_of_the_engine_has_its_place_in_its_order() -> None:
    assert {engine_room(module) for module in ENGINE_GRAPH} == ENGINE_LEVELS.keys()


def test_imports_between_rooms_of_the_engine_go_downwards_only() -> None:
    upward = [
        f"{module} imports {imported}"
        for module, imports in ENGINE_GRAPH.items()
        for imported in sorted(imports)
        if engine_room(imported) not in {"", engine_room(module)}
        and ENGINE_LEVELS[engine_room(imported)] <= ENGINE_LEVELS[engine_room(module)]
    ]
    assert upward == []


def test_the_engine_knows_neither_the_state_nor_the_settings() -> None:
    strange = [
        f"{module} imports {imported}"
        for module, imports in ENGINE_GRAPH.items()
        for imported in sorted(imports)
        if room_of(imported) and room_of(imported) not in {"engine", *BELOW_THE_ENGINE}
    ]
    assert strange == []


def test_the_format_is_pure() -> None:
    modules = [module for module in ENGINE_GRAPH if engine_room(module) == "format"]
    imported = {name.split(".")[0] for module in modules for name in imports_of(module)}
    assert imported - {PACKAGE} <= PURE


DISTRIBUTIONS = {"botocore": "boto3", "python_multipart": "python-multipart"}
"""Distributions that are called otherwise than what is imported of them."""


def test_every_library_that_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["project"]
    declared = {re.split("[>=<]", line)[0] for line in project["dependencies"]}
    imported = {name.split(".")[0] for module in MODULES for name in imports_of(module)}
    libraries = imported - sys.stdlib_module_names - {PACKAGE}
    assert {DISTRIBUTIONS.get(name, name) for name in libraries} == declared


def closure(entry: str) -> set[str]:
    """Return every dotted name that importing ``entry`` may import in the end, late imports included."""
    seen: set[str] = set()
    pending = [entry]
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in MODULES:
            parents = {name.rsplit(".", 1)[0]} & MODULES.keys()
            pending.extend(imports_of(name) | parents)
    return seen


DAEMON_SIDE = sorted(
    module
    for module in MODULES
    if room_of(module)
    in {
        "daemon",
        "agent",
        "systemd",
        "stop_signals",
        "interpreter",
        "api",
        "services",
        "scheduler",
        "jobs",
        "state",
        "config",
    }
    and not module.startswith(WORKER_SIDE)
)


@pytest.mark.parametrize("module", DAEMON_SIDE)
def test_the_daemon_side_never_imports_the_engine_or_a_storage_library(module: str) -> None:
    heavy = [name for name in closure(module) if name.startswith(HEAVY)]
    assert heavy == [], f"{module} comes to import {heavy}"


def test_the_daemon_as_it_runs_has_loaded_neither_engine_nor_storage_libraries() -> None:
    code = f"import sys, {PACKAGE}.daemon; print(*[name for name in sys.modules if name.startswith({HEAVY})])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def sources_in(place: Path) -> list[Path]:
    """Return the files that people write; caches and what tests leave lie in hidden places."""
    found = [path for path in sorted(place.rglob("*")) if path.suffix in {".py", ".sh", ".yml", ""}]
    hidden = {path for path in found if any(part.startswith(".") for part in path.relative_to(place).parts)}
    return [path for path in found if path.is_file() and path not in hidden]


@pytest.mark.parametrize("place", ["agent", "benchmarks", "plugins", "roles", "scripts", "tests"])
def test_no_file_is_longer_than_450_lines(place: str) -> None:
    long = {
        str(path.relative_to(REPOSITORY)): lines
        for path in sources_in(REPOSITORY / place)
        if (lines := len(path.read_bytes().splitlines())) > LONGEST_FILE
    }
    assert long == {}
