# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples: the same seed draws the same, each case has its chance, and a run of the whole has all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from checks import sampling
from checks.sampling import Sample
from checks.steps import steps_of

PYTEST = (sys.executable, "-m", "pytest", "-p", "checks.sampling", "-p", "no:cacheprovider", "-vs")
CASES = list(range(1000))
TESTS = """
import pytest

@pytest.mark.sampled(3)
@pytest.mark.parametrize("case", range(30))
def test_sets(case): pass

def test_draws(sample): print("drawn", sample.of(range(1000), 4), sample.number(5, 50))

@pytest.mark.whole
def test_long(): pass

def test_short(): pass
"""


@pytest.mark.parametrize("count", [1, 7, 600, 999])
def test_a_sample_has_as_many_cases_as_were_asked_for_each_once_and_in_order(count: int) -> None:
    drawn = Sample("a seed", whole=False).of(CASES, count)
    assert len(drawn) == count
    assert drawn == sorted(set(drawn))


def test_a_sample_is_spread_over_all_cases() -> None:
    drawn = Sample("a seed", whole=False).of(CASES, 10)
    assert [case // 100 for case in drawn] == list(range(10))


def test_one_seed_draws_the_same_and_another_something_else() -> None:
    one, same, other = (Sample(seed, whole=False).of(CASES, 10) for seed in ("one", "one", "other"))
    assert one == same != other


def test_every_case_is_drawn_by_some_seed() -> None:
    drawn = {case for seed in range(200) for case in Sample(f"{seed}", whole=False).of(CASES[:99], 10)}
    assert drawn == set(CASES[:99])


def test_the_whole_and_fewer_cases_than_were_asked_for_are_all() -> None:
    assert Sample("a seed", whole=True).of(CASES, 1) == CASES
    assert Sample("a seed", whole=False).of(CASES[:3], 10) == CASES[:3]
    assert [Sample("a seed", whole=whole).number(5, 50) for whole in (False, True)] == [5, 50]


@pytest.fixture
def tests(tmp_path: Path) -> Path:
    (tmp_path / "test_them.py").write_text(TESTS)
    return tmp_path / "test_them.py"


def run(tests: Path, *options: str, **variables: str) -> str:
    """Run the tests with the plugin; return what pytest printed."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PAPI_TEST_")}
    scripts = str(Path(sampling.__file__).parents[1])
    return subprocess.run(
        [*PYTEST, *options, tests],
        env={**own, "PYTHONPATH": scripts, **variables},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def chosen(told: str) -> list[str]:
    """Return the tests that ran, and what one of them drew."""
    return [line.partition("::")[2] or line for line in told.splitlines() if "::" in line or "drawn" in line]


def test_the_printed_seed_repeats_a_run(tests: Path) -> None:
    first = run(tests)
    assert "4 passed" not in first and "5 passed, 28 deselected" in first
    assert "test_long" not in first
    seed = first.rpartition(f"samples by {sampling.SEED_VARIABLE}=")[2].split()[0]
    again = run(tests, **{sampling.SEED_VARIABLE: seed})
    assert chosen(again) == chosen(first)


def test_two_workers_draw_the_same(tests: Path) -> None:
    assert "5 passed" in run(tests, "-n", "2")


def test_a_parameter_set_that_is_asked_for_by_name_runs_whatever_the_seed(tests: Path) -> None:
    assert "1 passed" in run(tests.with_name("test_them.py::test_sets[17]"))


def test_torture_runs_all_of_what_is_sampled_and_nothing_else(tests: Path) -> None:
    (step,) = steps_of("torture")
    marked = step.command[-2:]
    told = run(tests, *marked, **{name: step.environment[name] for name in [sampling.WHOLE_VARIABLE]})
    assert "32 passed, 1 deselected" in told
    assert "test_short" not in told
    assert f"the whole forms, seeded by {sampling.SEED_VARIABLE}=" in told
