# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Noticing that another Python has taken the place of the one that runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from papi_backup.interpreter import Interpreter


def removed(name: Path, older: Path) -> None:
    name.unlink()


def led_elsewhere(name: Path, older: Path) -> None:
    name.unlink()
    name.symlink_to(older.with_name("python3.13"))


def led_nowhere(name: Path, older: Path) -> None:
    older.unlink()


@pytest.fixture
def name(tmp_path: Path) -> Path:
    for file in ("python3.11", "python3.13"):
        (tmp_path / file).touch()
    name = tmp_path / "python"
    name.symlink_to(tmp_path / "python3.11")
    return name


@pytest.mark.parametrize("change", [removed, led_elsewhere, led_nowhere])
def test_a_change_is_one_at_the_second_look(name: Path, change: Callable[[Path, Path], None]) -> None:
    interpreter = Interpreter(str(name))
    assert not interpreter.has_changed()
    change(name, name.with_name("python3.11"))
    assert [interpreter.has_changed() for _look in range(3)] == [False, True, True]


def test_what_is_back_at_the_next_look_has_not_changed(name: Path) -> None:
    interpreter = Interpreter(str(name))
    removed(name, name)
    assert not interpreter.has_changed()
    name.symlink_to(name.with_name("python3.11"))
    assert [interpreter.has_changed() for _look in range(2)] == [False, False]


def test_a_file_replaced_by_one_of_its_name_has_not_changed(name: Path) -> None:
    interpreter = Interpreter(str(name))
    name.with_name("python3.13").replace(name.with_name("python3.11"))
    assert [interpreter.has_changed() for _look in range(2)] == [False, False]
