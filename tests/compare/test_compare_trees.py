# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The comparer sees what it must see, and never calls identical what it has not compared."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("compare_trees.py")
sys.path.insert(0, str(SCRIPT.parent))

from treecompare import planted  # noqa: E402 -- importable by the line above
from treecompare.differences import Comparison, compare  # noqa: E402


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", str(SCRIPT), *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    left, right = tmp_path / "left", tmp_path / "right"
    for root in (left, right):
        (root / "sub").mkdir(parents=True)
        (root / "sub" / "file").write_bytes(b"the same")
        for path in (root / "sub" / "file", root / "sub", root):
            os.utime(path, ns=(10**18, 10**18))
    return left, right


def test_identical_trees_have_status_0_and_a_proof_that_changes_are_seen(trees: tuple[Path, Path]) -> None:
    done = run(*trees)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("self-test: ")
    assert done.stdout.splitlines()[-1].startswith("identical: ")


def test_a_difference_has_status_1_and_names_aspect_and_place(trees: tuple[Path, Path]) -> None:
    (trees[1] / "sub" / "file").chmod(0o600)
    (trees[0] / "sub" / "file").chmod(0o644)
    done = run(*trees)
    assert done.returncode == 1
    assert "different: modes: sub/file: 0644 | 0600" in done.stdout


@pytest.mark.parametrize("arguments", [(), ("one",), ("/nonexistent/a", "/nonexistent/b"), ("--nothing",)])
def test_what_cannot_be_compared_at_all_has_status_2(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "identical" not in done.stdout


def test_only_the_first_50_of_many_differences_are_listed(trees: tuple[Path, Path]) -> None:
    for number in range(60):
        (trees[0] / f"missing-{number:02}").touch()
    done = run(*trees)
    assert done.stdout.count("different: ") == 51  # and the verdict
    assert "… and 11 more" in done.stdout  # the 60 names and the root's modification time, less 50


def test_names_that_are_no_text_are_compared_and_shown(trees: tuple[Path, Path]) -> None:
    odd = os.path.join(os.fsencode(trees[0]), b"not\xfftext")
    with open(odd, "wb"):
        pass
    done = run(*trees)
    assert done.returncode == 1
    assert "different: names: not\\xfftext: there | missing" in done.stdout


def test_the_report_can_be_had_as_json(trees: tuple[Path, Path], tmp_path: Path) -> None:
    report_file = tmp_path / "report.json"
    assert run(*trees, "--json", report_file, "--quiet").returncode == 0
    report = json.loads(report_file.read_text())
    assert report["verdict"] == "identical"
    assert report["aspects"]["contents"] == {"result": "identical", "compared": 1}
    assert report["aspects"]["devices"] == {"result": "none there", "compared": 0}
    wanted = ("content", "mode", "mtime of directory/mtime", "link, symbolic", "link, hard")
    for title in wanted:
        assert any(reported.startswith(title) for reported in report["self_test"]["reported"]), title


def test_a_single_file_can_be_compared(trees: tuple[Path, Path]) -> None:
    assert run(*(root / "sub" / "file" for root in trees)).returncode == 0


def test_without_root_owners_are_not_compared_and_never_called_identical(trees: tuple[Path, Path]) -> None:
    found = compare(str(trees[0]), str(trees[1]), privileged=False)
    assert found.result("owners") == "not compared"
    assert not found.differences


def test_an_aspect_that_was_not_there_is_not_called_identical(trees: tuple[Path, Path]) -> None:
    found = compare(str(trees[0]), str(trees[1]))
    assert found.result("symlinks") == "none there"


def test_a_comparer_that_is_blind_to_a_change_fails_its_self_test(monkeypatch: pytest.MonkeyPatch) -> None:
    class BlindToModes(Comparison):
        def check(self, aspect: str, name: bytes, left: object, right: object) -> None:
            super().check(aspect, name, left, left if aspect == "modes" else right)

    monkeypatch.setattr("treecompare.differences.Comparison", BlindToModes)
    with pytest.raises(planted.SelfTestError, match="mode"):
        planted.self_test()


def test_the_comparer_uses_the_standard_library_only() -> None:
    script = (
        f"import sys; sys.argv = ['compare', '--self-test']; sys.path.insert(0, {str(SCRIPT.parent)!r})\n"
    )
    script += "import compare_trees; status = compare_trees.main()\n"
    script += "foreign = [name for name in sys.modules if name.split('.')[0] in ('papi_backup', 'boto3')]\n"
    script += "sys.exit(status or len(foreign))"
    assert subprocess.run([sys.executable, "-I", "-S", "-c", script], check=False).returncode == 0
