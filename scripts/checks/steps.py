# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of each target: what is run, where, and which of them each target has."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from checks.sampling import WHOLE_FORMS, WHOLE_VARIABLE

BIN = Path(sys.executable).parent
TARGETS = ("all", "quick", "lint", "torture")
_CHECKS = ("all", "quick", "lint")
_WORKERS = os.environ.get("PAPI_TEST_WORKERS", "2")
_OURS = (
    "agent/src",
    "agent/tests",
    "tests/compare",
    "tests/realparts",
    "tests/tooling",
    "scripts",
    "benchmarks",
    "extensions/eda",
    "extensions/molecule",
    "tests/eda",
    "roles",
)
_TYPED = (
    "scripts/checks",
    "scripts/demonstration",
    "scripts/gates",
    "benchmarks",
    "extensions/eda/plugins/event_source/backup_events.py",
    "tests/compare/compare_trees.py",
    "tests/realparts",
)
_BESIDE = "types and tooling"
"""The lane of what keeps one core busy at most, beside whatever else there is."""
_COLLECTION = ("plugins", "tests/unit")
_GATES = {
    "ansible-lint": "tools",
    "docs": "tools",
    "changelog": "tools",
    "importer": "tools",
    "secrets": "tools",
    "units": "ansible-test",
    "integration": "ansible-test",
    "sanity": "ansible-test",
}
"""Each gate with its lane: what ansible-test makes for itself is not for two at once."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command.  ``counts`` tells that it is a run of pytest, which counts its tests in a file.

    Steps with a ``lane`` come after all others, those of different lanes at the same time.
    """

    name: str
    command: tuple[str, ...]
    targets: tuple[str, ...] = _CHECKS
    directory: str = "."
    environment: Mapping[str, str] = field(default_factory=dict)
    counts: bool = False
    lane: str = ""


def steps_of(target: str) -> list[Step]:
    """Return the steps of one target, the quick ones first."""
    wanted = [*_lint_steps(target), *_test_steps(target), *_gate_steps()]
    return [step for step in wanted if target in step.targets]


def _lint_steps(target: str) -> list[Step]:
    # mypy keeps one core busy, the tests and gates beside it not even two.
    lane = "" if target == "lint" else _BESIDE
    ruff, mypy = str(BIN / "ruff"), str(BIN / "mypy")
    ours, typed, collection = _present(_OURS), _present(_TYPED), _present(_COLLECTION)
    return [
        Step("ruff", (ruff, "check", "-q", *ours)),
        Step("ruff format", (ruff, "format", "-q", "--check", *ours)),
        Step("ruff, collection", (ruff, "check", "-q", "--config", ".ci/ruff-collection.toml", *collection)),
        Step("mypy, agent", (mypy,), directory="agent", lane=lane),
        Step(
            "mypy, scripts and tests",
            (mypy, "--strict", "--config-file", ".ci/mypy.ini", *typed),
            lane=lane,
        ),
        Step("yamllint", (str(BIN / "yamllint"), "--strict", "."), targets=("all", "lint")),
        Step("shellcheck", (str(BIN / "shellcheck"), *_shell_scripts()), targets=("all", "lint")),
    ]


def _test_steps(target: str) -> list[Step]:
    tests = ("all", "quick")
    parallel = ("-n", _WORKERS, "--dist", "loadscope", "--no-loadscope-reorder")
    fast, lane = (("-p", "checks.inner_loop"), "tests") if target == "quick" else ((), "")
    return [
        pytest_step("collection", "tests/unit", *parallel, targets=tests, lane=lane),
        pytest_step("comparer", "tests/compare", targets=("all",), lane=_BESIDE),
        pytest_step("tooling", "tests/tooling", targets=("all",), lane=_BESIDE),
        pytest_step("agent", "tests", *parallel, *fast, targets=tests, directory="agent", lane=lane),
        _whole_forms(parallel),
    ]


def _whole_forms(parallel: tuple[str, ...]) -> Step:
    """Everything of which the tests of the agent try a sample otherwise."""
    return pytest_step(
        "agent, whole forms",
        *("tests", *parallel, "-m", WHOLE_FORMS),
        targets=("torture",),
        directory="agent",
        environment={WHOLE_VARIABLE: "1"},
    )


def _gate_steps() -> list[Step]:
    """What the collection is asked beside its tests (scripts/gates), and a demonstration of the tarball."""
    gate = (sys.executable, "-m", "gates")
    search = {"PYTHONPATH": os.pathsep.join(str(Path(name).resolve()) for name in ("scripts", "tests"))}
    gates = [
        Step(f"gate: {name}", (*gate, name), ("all",), environment=search, counts=True, lane=lane)
        for name, lane in _GATES.items()
    ]
    play = "scripts/demo && scripts/demo clean"
    demo = {"PAPI_DEMO_ROOT": ".cache/gates/demo"}
    return [
        *gates,
        Step("gate: demo of the tarball", ("sh", "-c", play), ("all",), environment=demo, lane="tools"),
    ]


def pytest_step(
    name: str,
    *arguments: str,
    targets: tuple[str, ...],
    directory: str = ".",
    lane: str = "",
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Step:
    """Return a run of pytest with the options and plugins that all runs have."""
    options = (
        *("-p", "checks.missing_parts", "-q", "--durations", "5", "--durations-min", "2"),
        *("-o", "tmp_path_retention_policy=failed", "-o", "tmp_path_retention_count=1"),
        *("-o", "faulthandler_timeout=600"),
    )
    command = (sys.executable, "-m", "pytest", *options, *arguments)
    inherited = {"PYTHONPATH": str(Path(__file__).resolve().parents[1]), **environment}
    return Step(f"tests: {name}", command, targets, directory, inherited, counts=True, lane=lane)


def _present(paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(path for path in paths if Path(path).exists())


def _shell_scripts() -> list[str]:
    """Return the tracked files that a shell runs, by their first line."""
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, check=False).stdout  # noqa: S607
    names = [os.fsdecode(name) for name in listed.split(b"\0") if name] or _scripts_without_git()
    return [name for name in names if _is_shell(Path(name))]


def _scripts_without_git() -> list[str]:
    return [str(path) for place in ("scripts", ".ci") for path in Path(place).iterdir()]


def _is_shell(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        first = file.readline(80)
    return first.startswith(b"#!") and first.strip().endswith((b"bash", b"/sh"))
