# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a restore tells the truth: it foresees a change where, and only where, the restore changes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from restoring import RestoringHost

from papi_backup.model.errors import TransferError
from papi_backup.model.job import Overwrite, RestorePlanSummary

Disturb = Callable[[Path], None]


@dataclass(frozen=True)
class Case:
    """Something done to a restored tree, and how many entries a plan then counts."""

    name: str
    disturb: Disturb
    creates: int = 0
    overwrites: int = 0
    repairs: int = 0
    overwrite: Overwrite = "changed"


def nothing(tree: Path) -> None:
    del tree


def other_times(path: Path) -> None:
    os.utime(path, ns=(1, 1), follow_symlinks=False)


def replace_by(path: Path, make: Callable[[Path], object]) -> None:
    """Put something else at a name; its directory keeps its time."""
    before = path.parent.stat()
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    make(path)
    os.utime(path.parent, ns=(before.st_atime_ns, before.st_mtime_ns))


def removed(path: Path) -> None:
    replace_by(path, nothing)


def copied_apart(tree: Path) -> None:
    """The second name becomes a file of its own, the same in every other way."""
    content = (tree / "names" / "b").read_bytes()
    replace_by(tree / "names" / "b", lambda path: path.write_bytes(content))
    shutil.copystat(tree / "names" / "a", tree / "names" / "b")


CASES = [
    Case("nothing", nothing),
    Case("nothing, all again", nothing, overwrites=5, overwrite="always"),
    Case("mode of a file", lambda tree: (tree / "file").chmod(0o600), repairs=1),
    Case("mode, that stays", lambda tree: (tree / "file").chmod(0o600), overwrite="never"),
    Case("time of a file", lambda tree: other_times(tree / "file"), repairs=1),
    Case("time of a link", lambda tree: other_times(tree / "link"), repairs=1),
    Case("mode of a FIFO", lambda tree: (tree / "fifo").chmod(0o611), repairs=1),
    Case("mode of a directory", lambda tree: (tree / "names").chmod(0o711), repairs=1),
    Case("time of the top", other_times, repairs=1),
    Case("attribute lost", lambda tree: os.removexattr(tree / "file", "user.a"), repairs=1),
    Case("attribute altered", lambda tree: os.setxattr(tree / "file", "user.a", b"2"), repairs=1),
    Case("attribute added", lambda tree: os.setxattr(tree / "file", "user.b", b"1"), repairs=1),
    Case("mode of a file with two names", lambda tree: (tree / "names" / "b").chmod(0o600), repairs=1),
    Case("one name of two removed", lambda tree: removed(tree / "names" / "b"), creates=1),
    Case("names no longer linked", copied_apart, overwrites=1),
    Case("file removed", lambda tree: removed(tree / "file"), creates=1),
    Case("directory removed", lambda tree: removed(tree / "names"), creates=3),
    Case("empty directory in the way", lambda tree: replace_by(tree / "file", Path.mkdir), overwrites=1),
    Case(
        "a file where a directory belongs",
        lambda tree: replace_by(tree / "names", Path.touch),
        creates=2,
        overwrites=1,
    ),
    Case(
        "a link where a directory belongs",
        lambda tree: replace_by(tree / "names", lambda path: path.symlink_to("/")),
        creates=2,
        overwrites=1,
    ),
]


@pytest.fixture
def restored(host: RestoringHost, out: Path) -> RestoringHost:
    """A host whose backup was restored whole."""
    tree = host.tree
    (tree / "file").write_bytes(b"content")
    os.setxattr(tree / "file", "user.a", b"1")
    (tree / "link").symlink_to("file")
    os.mkfifo(tree / "fifo", 0o644)
    (tree / "names").mkdir()
    (tree / "names" / "a").write_bytes(b"one file")
    os.link(tree / "names" / "a", tree / "names" / "b")
    host.back_up()
    host.restore(host.order(out))
    return host


def counts(plan: RestorePlanSummary) -> tuple[int, int, int]:
    return plan.creates, plan.overwrites, plan.repairs


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_plan_foresees_a_change_where_the_restore_changes(
    restored: RestoringHost, out: Path, case: Case
) -> None:
    case.disturb(restored.restored(out))
    order = restored.order(out, overwrite=case.overwrite)
    plan = restored.plan(order)
    assert counts(plan) == (case.creates, case.overwrites, case.repairs)
    assert restored.restore(order).entries_changed == sum(counts(plan))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_restore_leaves_nothing_to_do(restored: RestoringHost, out: Path, case: Case) -> None:
    case.disturb(restored.restored(out))
    order = restored.order(out)
    restored.restore(order)
    assert counts(restored.plan(order)) == (0, 0, 0)
    assert restored.restore(order).entries_changed == 0


def test_a_restore_to_nowhere_changes_as_much_as_it_planned(restored: RestoringHost, tmp_path: Path) -> None:
    order = restored.order(tmp_path / "new")
    plan = restored.plan(order)
    assert restored.restore(order).entries_changed >= plan.creates > 0
    assert restored.restore(order).entries_changed == 0


def test_a_file_that_is_replaced_does_not_make_its_directory_count(
    restored: RestoringHost, out: Path
) -> None:
    (restored.restored(out) / "file").write_bytes(b"CONTENT")
    order = restored.order(out)
    assert counts(restored.plan(order)) == (0, 1, 0)
    assert restored.restore(order).entries_changed == 1
    assert counts(restored.plan(order)) == (0, 0, 0)


@dataclass(frozen=True)
class Block:
    """Something that a restore may not replace, and what the plan says of it."""

    name: str
    overwrite: Overwrite
    disturb: Disturb
    reason: str
    entries: str


BLOCKS = [
    Block(
        "a full directory where a file belongs",
        "changed",
        lambda tree: replace_by(tree / "file", lambda path: (path / "mine").mkdir(parents=True)),
        "/file is a directory that is not empty",
        "1 entry",
    ),
    Block(
        "a file where a directory belongs, that is kept",
        "never",
        lambda tree: replace_by(tree / "names", Path.touch),
        "/names is no directory and overwrite=never keeps it",
        "2 entries",
    ),
]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_what_will_be_in_the_way_is_a_warning_of_the_plan_and_fails_the_restore(
    restored: RestoringHost, out: Path, block: Block
) -> None:
    block.disturb(restored.restored(out))
    order = restored.order(out, overwrite=block.overwrite)
    (warning,) = restored.plan(order).warnings
    assert f"{block.reason}: {block.entries}" in warning
    with pytest.raises(TransferError, match="could not be put in place") as caught:
        restored.restore(order)
    assert block.reason in caught.value.message
