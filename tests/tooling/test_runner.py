# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner goes on after a failure, counts, and fails a step that leaves a process behind."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from checks import __main__ as runner
from checks.steps import TARGETS, Step, steps_of

PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setattr(runner, "_RESULTS", tmp_path)
    return runner._Run("0123456789abcdef")


def do(run: object, *command: str, counts: bool = False) -> runner.Outcome:
    assert isinstance(run, runner._Run)
    return run.do(Step("a step", command, counts=counts))


@pytest.mark.parametrize(
    ("command", "passed", "failed"), [("true", 1, 0), ("false", 0, 1), ("./nothing", 0, 1)]
)
def test_a_linter_counts_as_one(run: object, command: str, passed: int, failed: int) -> None:
    outcome = do(run, command)
    assert (outcome.passed, outcome.failed) == (passed, failed)


def test_a_run_of_pytest_counts_its_tests(run: object, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "def test_a(): pass\ndef test_b(): pass\ndef test_c(): assert False\n"
    )
    outcome = do(run, *PYTEST, str(tmp_path), counts=True)
    assert (outcome.passed, outcome.failed) == (2, 1)


def test_a_run_of_pytest_that_finds_no_test_has_failed(run: object, tmp_path: Path) -> None:
    outcome = do(run, *PYTEST, str(tmp_path), counts=True)
    assert (outcome.passed, outcome.failed) == (0, 1)


def test_a_step_that_leaves_a_process_running_has_failed(
    run: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("checks.survivors.end_survivors.__defaults__", (0.5,))
    outcome = do(run, "sh", "-c", "setsid sleep 61 & true")
    assert outcome.failed == 1
    assert "sleep 61" in outcome.remark


def test_the_total_is_the_last_line_and_the_status_tells_of_failures(
    run: object, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = [do(run, "true"), do(run, "false"), do(run, "true")]
    assert runner._tell(outcomes, []) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "total: 2 passed, 1 failed"
    assert runner._tell(outcomes[:1], []) == 0


@pytest.mark.parametrize(("ci", "status"), [("true", 1), ("", 0)])
def test_what_could_not_be_run_fails_on_a_ci_machine_only(
    run: object, monkeypatch: pytest.MonkeyPatch, ci: str, status: int
) -> None:
    monkeypatch.setenv("CI", ci)
    assert runner._tell([do(run, "true")], ["3 tests over SSH"]) == status


def test_quick_and_lint_are_parts_of_all() -> None:
    names = {target: {step.name for step in steps_of(target)} for target in TARGETS}
    assert names["lint"] < names["all"]
    assert names["quick"] < names["all"]
