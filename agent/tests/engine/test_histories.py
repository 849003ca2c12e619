# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random trees through random histories of full and incremental backups: every date comes back as it was."""

from __future__ import annotations

import os
import shutil
import time
from datetime import datetime
from unittest import mock

import pytest
from backing_host import Host
from changing_tree import Change, ChangingTree, changes, creations
from checks.sampling import Sample
from fast_place import fast_directory
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from seen_trees import Tree, needed_volumes, tree_on_disk

from papi_backup.engine.backup import previous
from papi_backup.engine.storage.directory import DirectoryStorage
from papi_backup.model.schedule import BackupType

SHORT_TICK = 25_000_000
"""Nanoseconds within which a clock of files may stand still; more than any kernel's tick."""


class History(RuleBasedStateMachine):
    """Changes a tree and backs it up; at the end restores every date and compares all of it."""

    helpers = 0

    def __init__(self) -> None:
        super().__init__()
        self.base = fast_directory()
        (self.base / "tree").mkdir()
        (self.base / "storage").mkdir()
        base = self.base
        self.host = Host(base, lambda: DirectoryStorage(base / "storage"), helpers=self.helpers)
        self.tree = ChangingTree(os.fsencode(base / "tree"))
        self.dates: dict[datetime, Tree] = {}
        # The real window of two seconds would have every file of these fast histories read again.
        self.window = mock.patch.object(previous, "RACY_NANOSECONDS", SHORT_TICK)
        self.window.start()

    @initialize(key=st.sampled_from(["", "the key"]), beginning=st.lists(creations, min_size=3, max_size=15))
    def begin(self, key: str, beginning: list[Change]) -> None:
        self.host.key = key
        for change in beginning:
            change.apply(self.tree)

    @rule(
        before=st.lists(changes, max_size=6),
        kind=st.sampled_from(["inc", "inc", "inc", "full"]),
        aged=st.booleans(),
    )
    def change_and_back_up(self, before: list[Change], kind: BackupType, aged: bool) -> None:
        """``aged``: so long after the last change that an unchanged file need not be read again."""
        for change in before:
            change.apply(self.tree)
        if aged:
            time.sleep(2 * SHORT_TICK / 1e9)
        result = self.host.back_up(kind)
        assert result.backup_type == ("full" if not self.dates or kind == "full" else "inc")
        assert result.warnings == ()
        assert result.backup_date is not None
        self.dates[result.backup_date] = tree_on_disk(self.host.tree)
        opened = self.host.opened()
        table = {volume[:3] for volume in opened.manifest.volumes}
        assert table >= needed_volumes(self.host.storage(), opened)

    def teardown(self) -> None:
        """Restore every date."""
        try:
            for number, (date, expected) in enumerate(self.dates.items()):
                self.host.restore(self.base / f"out{number}", date)
                restored = self.host.restored(self.base / f"out{number}")
                assert restored == expected, difference(restored, expected)
        finally:
            self.window.stop()
            shutil.rmtree(self.base)


class HistoryOfHelpers(History):
    """The same with two reading and restoring processes."""

    helpers = 2


def difference(restored: Tree, expected: Tree) -> str:
    """Return the first paths that differ, for a person."""
    paths = sorted(
        path for path in restored.keys() | expected.keys() if restored.get(path) != expected.get(path)
    )
    return "\n".join(f"{path!r}: {restored.get(path)} instead of {expected.get(path)}" for path in paths[:5])


_CALM = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], print_blob=True
)


@pytest.mark.parametrize(
    ("machine", "examples", "steps"),
    [
        pytest.param(History, 20, 5, id="alone"),
        pytest.param(HistoryOfHelpers, 4, 4, id="helpers"),
        pytest.param(History, 100, 8, id="alone, long", marks=pytest.mark.whole),
        pytest.param(HistoryOfHelpers, 20, 8, id="helpers, long", marks=pytest.mark.whole),
    ],
)
def test_every_date_of_a_random_history_is_restored_as_it_was(
    machine: type[History], examples: int, steps: int, sample: Sample
) -> None:
    run_state_machine_as_test(
        seed(sample.seed)(machine),
        settings=settings(_CALM, max_examples=examples, stateful_step_count=steps),
    )
