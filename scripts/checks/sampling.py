# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pytest plugin: what takes long is tried in samples by ``make test`` and as a whole by ``make torture``.

A test asks for a sample in one of three ways: the marker ``sampled(count)`` keeps that many of its parameter
sets, the fixture ``sample`` draws within the test, and the marker ``whole`` leaves the test to
``make torture``.  The seed of all samples is printed at the end of a run and settable.  Without a setting it
is the commit, so that a commit's verdict is no matter of luck and the next commit tries something else.
"""

from __future__ import annotations

import os
import random
import secrets
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import pytest

SEED_VARIABLE = "PAPI_TEST_SEED"
WHOLE_VARIABLE = "PAPI_TEST_WHOLE"
WHOLE_FORMS = "sampled or whole"
"""The expression of markers that selects every test with a longer form than ``make test`` has."""

_MARKERS = (
    "sampled(count): that many of the test's parameter sets are tried, and all of them by make torture",
    "whole: the test runs in make torture only",
)
Case = TypeVar("Case")


@dataclass(frozen=True, slots=True)
class Sample:
    """What one test draws its cases with."""

    seed: str
    whole: bool

    def of(self, cases: Sequence[Case], count: int) -> list[Case]:
        """Return ``count`` of the cases in their order, one from each of as many equal stretches.

        A run of the whole gets all cases, and so does who asks for more than there are.
        """
        if self.whole or count >= len(cases):
            return list(cases)
        choice = random.Random(self.seed)  # noqa: S311 -- a sample is no secret
        bounds = [len(cases) * number // count for number in range(count + 1)]
        return [cases[choice.randrange(low, high)] for low, high in pairwise(bounds)]

    def number(self, sampled: int, whole: int) -> int:
        """Return how many examples to try."""
        return whole if self.whole else sampled


@pytest.fixture
def sample(request: pytest.FixtureRequest) -> Sample:
    """Draw from the seed of this run and the name of the test."""
    return _sample_of(request.node.nodeid)


def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed before workers are started, which inherit the environment."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)
    if not os.environ.get(SEED_VARIABLE):
        os.environ[SEED_VARIABLE] = secrets.token_hex(6) if _is_whole() else _commit()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark who draws by itself, so that one expression selects all that have a longer form."""
    if "sample" in getattr(item, "fixturenames", ()) and not item.get_closest_marker("sampled"):
        item.add_marker("sampled")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what this run leaves to ``make torture``."""
    if _is_whole():
        return
    kept = _drawn(items)
    left_out = [item for item in items if item.get_closest_marker("whole") or item not in kept]
    if left_out:
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]
        config.hook.pytest_deselected(items=left_out)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what repeats this run's samples."""
    kind = "the whole forms, seeded" if _is_whole() else "samples"
    terminalreporter.write_line(f"{kind} by {SEED_VARIABLE}={os.environ[SEED_VARIABLE]}")


def _drawn(items: Sequence[pytest.Item]) -> set[pytest.Item]:
    """Return the items without the parameter sets that are not in the samples."""
    functions: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        functions[item.nodeid.partition("[")[0]].append(item)
    kept: set[pytest.Item] = set()
    for name, sets in functions.items():
        marker = sets[0].get_closest_marker("sampled")
        if marker is None or not marker.args:
            kept.update(sets)
        else:
            kept.update(_sample_of(name).of(sets, marker.args[0]))
    return kept


def _sample_of(name: str) -> Sample:
    return Sample(f"{os.environ[SEED_VARIABLE]} {name}", _is_whole())


def _is_whole() -> bool:
    return bool(os.environ.get(WHOLE_VARIABLE))


def _commit() -> str:
    """Return the commit's name; where git knows none, as in an unpacked archive, the same word always."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short=12", "HEAD"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "no-commit"
    return asked.stdout.strip() or "no-commit"
