# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's own parts: a restore that is not what it should be is never called identical."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from demonstration.comparing import Verdict, compare_restored
from demonstration.layout import SOURCE_NAMES, DemoError, Layout, remove_tree
from demonstration.oddities import make_odd_tree
from demonstration.snapshots import snapshot
from demonstration.table import backup_table, restore_table


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "demo")
    layout.make()
    for name in SOURCE_NAMES[:-1]:
        (layout.sources / name).mkdir()
        (layout.sources / name / "file").write_text(name)
    make_odd_tree(layout.sources / SOURCE_NAMES[-1])
    snapshot(layout, 1)
    return layout


@pytest.fixture
def restored(layout: Layout) -> Path:
    """A restore that is right, made by hand."""
    target = layout.restored / "one"
    place = target / layout.sources.relative_to("/")
    place.parent.mkdir(parents=True)
    subprocess.run(["cp", "-a", str(layout.sources), str(place)], check=True)
    return target


def test_a_restore_that_is_right_is_identical(layout: Layout, restored: Path) -> None:
    verdict = compare_restored(layout, 1, restored)
    assert verdict.text == "identical"
    assert verdict.entries > 60


@pytest.mark.parametrize(
    "damage",
    [
        lambda place: (place / "etc" / "file").write_text("ETC"),
        lambda place: (place / "etc" / "file").unlink(),
        lambda place: shutil.rmtree(place / "etc"),
        lambda place: (place / "surplus").touch(),
        lambda place: os.truncate(place / "odd" / "sparse", 1),
        remove_tree,
    ],
    ids=["changed", "missing file", "missing tree", "surplus", "truncated", "nothing"],
)
def test_a_restore_that_is_wrong_is_different(
    layout: Layout, restored: Path, damage: Callable[[Path], object]
) -> None:
    damage(restored / layout.sources.relative_to("/"))
    verdict = compare_restored(layout, 1, restored)
    assert not verdict.identical
    assert verdict.text.startswith("DIFFERENT: ")


def test_a_comparison_without_a_snapshot_is_an_error_not_a_verdict(layout: Layout, restored: Path) -> None:
    with pytest.raises(DemoError, match="could not do its work"):
        compare_restored(layout, 2, restored)


def test_only_the_owner_may_enter_the_copies(layout: Layout) -> None:
    assert layout.root.stat().st_mode & 0o077 == 0


def test_the_tables_show_figures_and_verdicts() -> None:
    job = {"start_date": "2026-03-01 12:00:00", "end_date": "2026-03-01 12:00:07", "backup_type": "full"}
    backup = {
        "backup_name": "one",
        "snapshot": 1,
        "listed": {"date": "2026-03-01 12:00:00"},
        "job": job | {"files": 1234, "bytes_read": 5_000_000, "bytes_stored": 42},
    }
    row = backup_table([backup]).splitlines()[-1]
    assert row.split() == ["one", "full", "2026-03-01", "12:00:00", "1,234", "5,000,000", "42", "7"]
    restore = {
        "backup_name": "one",
        "agent": "first",
        "date": "2026-03-01 12:00:00",
        "snapshot": 1,
        "job": job,
    }
    row = restore_table([restore], [Verdict(True, 99, ())]).splitlines()[-1]
    assert row.split() == ["one", "first", "2026-03-01", "12:00:00", "1", "99", "7", "identical"]
