# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gates count what they saw, take nothing skipped for passed, and find a secret in each form."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from checks.running import _count
from gates import ansible_test, linters, planted_secrets
from gates.ansible_test import _listed_failures, _skipped
from gates.pythons import real_interpreters, search_path
from gates.tally import Tally, read_junit, write_junit


def test_the_runner_reads_the_counts_that_a_gate_writes(tmp_path: Path) -> None:
    write_junit(tmp_path / "counts.xml", "a gate", Tally(7, ("this", "that")))
    assert _count(tmp_path / "counts.xml") == (7, 2)


def test_a_skipped_test_is_a_failed_one(tmp_path: Path) -> None:
    (tmp_path / "units.xml").write_text(
        '<testsuites><testsuite><testcase name="a"/><testcase name="b"><skipped/></testcase>'
        '<testcase name="c"><failure/></testcase></testsuite></testsuites>'
    )
    assert read_junit(tmp_path) == Tally(1, ("units: b (skipped)", "units: c (failure)"))


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ('WARNING: Skipping sanity test "import" on Python 3.9 because it could not be found.', False),
        ('WARNING: Skipping sanity test "import" on Python 3.11 because it could not be found.', True),
        ('WARNING: Skipping sanity test "yamllint" on Python 3.11 due to missing libyaml support.', True),
        ("WARNING: Using locale C.UTF-8 instead of another.", False),
    ],
)
def test_only_a_python_that_is_not_there_may_be_left_out(
    monkeypatch: pytest.MonkeyPatch, line: str, counts: bool
) -> None:
    monkeypatch.setattr(ansible_test, "real_interpreters", lambda: {"3.11": Path("/usr/bin/python3.11")})
    assert bool(_skipped(f"{line}\n")) is counts


def test_the_failed_sanity_tests_are_named() -> None:
    output = (
        "x\nFATAL: The 2 sanity test(s) listed below (out of 34) failed. See above.\n"
        "pylint\nimport --python 3.8\nFATAL: Command failed\n"
    )
    assert _listed_failures(output) == ("pylint", "import --python 3.8")
    assert _listed_failures("all is well\n") == ()


def test_interpreters_are_real_and_found_before_shims(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", f"/some/shims:{Path(sys.executable).parent}:/usr/bin")
    found = real_interpreters()
    for version, path in found.items():
        told = subprocess.run([str(path), "--version"], capture_output=True, text=True, check=True).stdout
        assert told.startswith(f"Python {version}.")
    words = search_path(tmp_path, found).split(":")
    assert words[0] == str(tmp_path)
    assert "/some/shims" not in words


@pytest.mark.parametrize(
    "text", [b"key=pl4nted/secret!", b"a cGw0bnRlZC9zZWNyZXQh b", b"?key=pl4nted%2Fsecret%21"]
)
def test_a_secret_is_found_as_it_is_in_base64_and_in_a_url(text: bytes) -> None:
    assert planted_secrets._found(text, {"it": "pl4nted/secret!", "other": "unseen"}) == ["it"]


@pytest.mark.parametrize("text", ["skip_list:\n  - x\n", "  warn_list: [x]\n"])
def test_a_list_of_skipped_rules_is_seen(text: str) -> None:
    assert linters._SKIPS.findall(text)
