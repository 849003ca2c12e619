# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every target of the Makefile is told by ``make help`` and by docs/development.md, and none else is."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
MAKEFILE = (REPOSITORY / "Makefile").read_text()
TARGETS = re.findall(r"^([\w-]+):", MAKEFILE, re.M)
PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    *sorted((REPOSITORY / "docs").glob("*.md")),
]
_TABLE_ROW = re.compile(r"^\| `make (?P<target>[a-z-]+)", re.M)
_MENTION = re.compile(r"`make (?P<target>[a-z][a-z-]*)")


def test_help_tells_every_target() -> None:
    told = subprocess.run(["make", "help"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^  make (\S+) +\S", told, re.M) == TARGETS


def test_the_guide_tells_every_target_once() -> None:
    rows = _TABLE_ROW.findall((REPOSITORY / "docs/development.md").read_text())
    assert sorted(rows) == sorted(TARGETS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_target_that_a_page_names_exists(page: Path) -> None:
    assert set(_MENTION.findall(page.read_text())) <= set(TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_what_a_target_runs_exists(target: str) -> None:
    recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.M)
    assert recipe, f"{target} does nothing"
    for script in re.findall(r"scripts/[\w-]+", recipe[1]):
        assert (REPOSITORY / script).stat().st_mode & 0o100, f"{script} is no program"


def test_no_file_of_a_targets_name_keeps_it_from_running() -> None:
    asked = subprocess.run(
        ["make", "-pn", "help"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    ).stdout
    phony = re.search(r"^\.PHONY: (.*)$", asked, re.M)
    assert phony and phony[1].split() == TARGETS
