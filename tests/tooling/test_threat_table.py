# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each test that the tables of docs/hardening.md name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
TABLES = (TOP / "docs/hardening.md").read_text().partition("## Who could do what")[2].partition("\n## ")[0]
ROWS = [
    row for row in TABLES.splitlines() if row.startswith("| ") and not row.startswith(("| who |", "| ---"))
]
NAMED = sorted({word for row in ROWS for word in re.findall(r"`([^`]+)`", row.rsplit("|", 2)[1])})


def test_every_row_names_what_shows_it() -> None:
    assert len(ROWS) > 20
    assert all("`" in row.rsplit("|", 2)[1] for row in ROWS)


@pytest.mark.parametrize("name", NAMED)
def test_what_a_row_names_is_there(name: str) -> None:
    path, _colons, test = name.partition("::")
    if test:
        places = [TOP / "agent/tests" / path, TOP / "tests/tooling" / path]
        assert any(place.exists() and f"def {test}(" in place.read_text() for place in places)
    elif name.startswith("make "):
        assert f"\n{name.removeprefix('make ')}: ##" in (TOP / "Makefile").read_text()
    else:
        assert (TOP / name).exists()
