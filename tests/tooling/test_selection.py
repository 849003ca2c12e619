# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the runner leaves out by name is there: a renamed test does not slip through unseen."""

from __future__ import annotations

from pathlib import Path

import pytest

from checks.inner_loop import LONG_MODULES
from checks.missing_parts import ROOT_TESTS

TESTS = sorted((Path(__file__).parents[2] / "agent" / "tests").rglob("test_*.py"))


@pytest.mark.parametrize("module", sorted(LONG_MODULES))
def test_a_module_that_the_inner_loop_leaves_out_exists(module: str) -> None:
    assert module in {path.stem for path in TESTS}


@pytest.mark.parametrize("name", sorted(ROOT_TESTS))
def test_a_test_that_needs_root_exists(name: str) -> None:
    assert any(f"def {name}(" in path.read_text() for path in TESTS)
