# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner goes on after a failure, counts, and fails a step that leaves a process behind."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from checks import __main__ as main_program
from checks import running as runner
from checks.steps import TARGETS, Step, steps_of

PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setattr(runner, "RESULTS", tmp_path)
    return runner.Run("0123456789abcdef")


def do(run: object, *command: str, counts: bool = False) -> runner.Outcome:
    assert isinstance(run, runner.Run)
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
    assert main_program._tell(outcomes, []) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "total: 2 passed, 1 failed"
    assert main_program._tell(outcomes[:1], []) == 0


@pytest.mark.parametrize(("ci", "status"), [("true", 1), ("", 0)])
def test_what_could_not_be_run_fails_on_a_ci_machine_only(
    run: object, monkeypatch: pytest.MonkeyPatch, ci: str, status: int
) -> None:
    monkeypatch.setenv("CI", ci)
    assert main_program._tell([do(run, "true")], ["3 tests over SSH"]) == status


def test_quick_and_lint_are_parts_of_all() -> None:
    names = {target: {step.name for step in steps_of(target)} for target in TARGETS}
    assert names["lint"] < names["all"]
    assert names["quick"] < names["all"]


def side_by_side(run: object, *lanes: list[Step]) -> list[runner.Outcome]:
    assert isinstance(run, runner.Run)
    return run.side_by_side(lanes)


def test_lanes_run_at_the_same_time_and_each_output_comes_as_a_whole(
    run: object, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def waits_for(own: str, other: str) -> tuple[str, ...]:
        wait = f"for i in $(seq 300); do [ -e {tmp_path}/{other} ] && exit 0; sleep 0.1; done; exit 1"
        return ("sh", "-c", f"echo {own} begins; touch {tmp_path}/{own}; {wait}")

    one = [Step("one", waits_for("a", "b")), Step("then", ("sh", "-c", "echo last; exit 3"))]
    other = [Step("other", waits_for("b", "a"))]
    outcomes = side_by_side(run, one, other)
    assert [(outcome.step.name, outcome.failed) for outcome in outcomes] == [
        ("one", 0),
        ("then", 1),
        ("other", 0),
    ]
    told = capfd.readouterr().out
    assert sorted(told.strip().split("\n\n")) == [
        "=== one\na begins",
        "=== other\nb begins",
        "=== then\nlast",
    ]
    assert told.index("=== one") < told.index("=== then\nlast")


def test_a_lane_that_leaves_a_process_running_does_not_end_those_of_another(
    run: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("checks.survivors.end_survivors.__defaults__", (0.2,))
    leaves = Step("leaves", ("sh", "-c", "setsid sleep 62 & true"))
    longer = Step("longer", ("sleep", "2"))
    assert [outcome.failed for outcome in side_by_side(run, [leaves], [longer])] == [1, 0]


def test_a_run_that_is_ended_ends_its_lanes(tmp_path: Path) -> None:
    program = (
        "import signal, sys, pathlib; from checks import running as runner; from checks.steps import Step\n"
        f"runner.RESULTS = pathlib.Path({str(tmp_path)!r}); signal.signal(signal.SIGTERM, runner._stop)\n"
        "lanes = [[Step(name, ('sleep', '63')), Step('next', ('sleep', '63'))] for name in 'ab']\n"
        "runner.Run('fedcba9876543210').side_by_side(lanes)"
    )
    scripts = str(Path(runner.__file__).parents[1])
    process = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": scripts})
    marker = b"PAPI_TEST_RUN=fedcba9876543210-"

    def sleepers() -> int:
        found = 0
        for environment in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                found += marker in environment.read_bytes()
        return found

    deadline = time.monotonic() + 20
    while sleepers() < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.terminate()
    assert process.wait(30) == 143
    assert sleepers() == 0


def test_the_gates_of_ansible_test_are_not_run_at_once() -> None:
    lanes = {step.name: step.lane for step in steps_of("all")}
    assert {lanes[f"gate: {name}"] for name in ("units", "integration", "sanity")} == {"ansible-test"}
    assert "" not in {lane for name, lane in lanes.items() if name.startswith("gate: ")}
