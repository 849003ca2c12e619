# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Owners by name or by number, where a host's names have other numbers than the backup's."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from restoring import RestoringHost

from papi_backup.engine.restore.accounts import OwnerNumbers
from papi_backup.model.job import RestoreOrder

IN_THE_BACKUP, HERE = 5, 955


@pytest.fixture
def host(host: RestoringHost, monkeypatch: pytest.MonkeyPatch) -> RestoringHost:
    """A host whose backup has files of a user that has another number when they are restored."""
    (host.tree / "file").write_text("content")
    (host.tree / "directory").mkdir()
    for name in ("file", "directory"):
        os.chown(host.tree / name, IN_THE_BACKUP, 0)
    host.back_up()
    look_up = {"games": HERE, "root": 0}.__getitem__
    monkeypatch.setattr(OwnerNumbers.__init__, "__defaults__", (look_up, look_up))
    return host


def by_number(order: RestoreOrder) -> RestoreOrder:
    return replace(order, options=replace(order.options, numeric_owner=True))


@pytest.mark.parametrize("helpers", [1, 2])
def test_by_name_is_a_warning_that_says_what_has_changed(
    host: RestoringHost, out: Path, helpers: int
) -> None:
    host.helpers = helpers
    result = host.restore(host.order(out))
    assert {(host.restored(out) / name).stat().st_uid for name in ("file", "directory")} == {HERE}
    [warning] = result.warnings
    assert f"user games is {HERE} here and {IN_THE_BACKUP} in the backup; numeric_owner keeps" in warning
    assert warning in result.description or "numeric_owner keeps the numbers" in result.description


@pytest.mark.parametrize("helpers", [1, 2])
def test_by_number_everything_is_as_it_was(host: RestoringHost, out: Path, helpers: int) -> None:
    host.helpers = helpers
    result = host.restore(by_number(host.order(out)))
    assert {(host.restored(out) / name).stat().st_uid for name in ("file", "directory")} == {IN_THE_BACKUP}
    assert result.warnings == ()
    assert host.plan(by_number(host.order(out))).repairs == 0
    assert host.plan(host.order(out)).repairs == 2
