# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random trees through random histories of full and incremental backups: every date comes back as it was."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from datetime import datetime
from pathlib import Path
from unittest import mock

import pytest
from backing_host import Host
from changing_tree import ChangingTree, names, picks, sizes, times
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from seen_trees import Tree, tree_on_disk

from papi_backup.engine.backup import previous
from papi_backup.engine.storage.directory import DirectoryStorage
from papi_backup.model.schedule import BackupType

MOST_BACKUPS = 6
SHORT_TICK = 25_000_000
"""Nanoseconds within which a clock of files may stand still; more than any kernel's tick."""

seeds = st.integers(0, 20)


class History(RuleBasedStateMachine):
    """Changes a tree and backs it up; at the end restores every date and compares all of it."""

    helpers = 0

    def __init__(self) -> None:
        super().__init__()
        self.base = Path(os.path.realpath(tempfile.mkdtemp()))
        (self.base / "tree").mkdir()
        (self.base / "storage").mkdir()
        base = self.base
        self.host = Host(base, lambda: DirectoryStorage(base / "storage"), helpers=self.helpers)
        self.tree = ChangingTree(os.fsencode(base / "tree"))
        self.dates: dict[datetime, Tree] = {}
        # The real window of two seconds would have every file of these fast histories read again.
        self.window = mock.patch.object(previous, "RACY_NANOSECONDS", SHORT_TICK)
        self.window.start()

    @initialize(key=st.sampled_from(["", "the key"]))
    def begin(self, key: str) -> None:
        self.host.key = key

    @rule(pick=picks, name=names, size=sizes, seed=seeds)
    def create(self, pick: int, name: bytes, size: int, seed: int) -> None:
        self.tree.create(pick, name, size, seed)

    @rule(pick=picks, name=names)
    def make_directory(self, pick: int, name: bytes) -> None:
        self.tree.make_directory(pick, name)

    @rule(pick=picks, name=names, leads_to=names)
    def make_link(self, pick: int, name: bytes, leads_to: bytes) -> None:
        self.tree.make_link(pick, name, leads_to)

    @rule(pick=picks, name=names, other=picks)
    def make_hard_link(self, pick: int, name: bytes, other: int) -> None:
        self.tree.make_hard_link(pick, name, other)

    @rule(pick=picks, name=names)
    def make_fifo(self, pick: int, name: bytes) -> None:
        self.tree.make_fifo(pick, name)

    @rule(pick=picks, name=names, size=sizes, hole=st.integers(0, 3_000_000), seed=seeds)
    def make_sparse(self, pick: int, name: bytes, size: int, hole: int, seed: int) -> None:
        self.tree.make_sparse(pick, name, size, hole, seed)

    @rule(pick=picks, position=picks, seed=seeds)
    def overwrite(self, pick: int, position: int, seed: int) -> None:
        self.tree.overwrite(pick, position, seed)

    @rule(pick=picks, seed=seeds)
    def overwrite_secretly(self, pick: int, seed: int) -> None:
        self.tree.overwrite_secretly(pick, seed)

    @rule(pick=picks, size=sizes, seed=seeds)
    def append(self, pick: int, size: int, seed: int) -> None:
        self.tree.append(pick, size, seed)

    @rule(pick=picks, size=sizes)
    def truncate(self, pick: int, size: int) -> None:
        self.tree.truncate(pick, size)

    @rule(pick=picks, seed=seeds)
    def prepend(self, pick: int, seed: int) -> None:
        self.tree.prepend(pick, seed)

    @rule(pick=picks, into=picks, name=names)
    def rename(self, pick: int, into: int, name: bytes) -> None:
        self.tree.rename(pick, into, name)

    @rule(pick=picks)
    def remove(self, pick: int) -> None:
        self.tree.remove(pick)

    @rule(pick=picks, mode=st.integers(0, 0o7777))
    def change_mode(self, pick: int, mode: int) -> None:
        self.tree.change_mode(pick, mode)

    @rule(pick=picks, owner=picks)
    def change_owner(self, pick: int, owner: int) -> None:
        self.tree.change_owner(pick, owner)

    @rule(pick=picks, name=st.sampled_from([b"a", b"\xff"]), value=st.none() | st.binary(max_size=50))
    def change_attribute(self, pick: int, name: bytes, value: bytes | None) -> None:
        self.tree.change_attribute(pick, name, value)

    @rule(pick=picks, mtime_ns=times)
    def touch(self, pick: int, mtime_ns: int) -> None:
        self.tree.touch(pick, mtime_ns)

    @precondition(lambda self: len(self.dates) < MOST_BACKUPS)
    @rule(kind=st.sampled_from(["inc", "inc", "inc", "full"]), aged=st.booleans())
    def back_up(self, kind: BackupType, aged: bool) -> None:
        """``aged``: so long after the last change that an unchanged file need not be read again."""
        if aged:
            time.sleep(2 * SHORT_TICK / 1e9)
        result = self.host.back_up(kind)
        assert result.backup_type == ("full" if not self.dates or kind == "full" else "inc")
        assert result.warnings == ()
        assert result.backup_date is not None
        self.dates[result.backup_date] = tree_on_disk(self.host.tree)

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
    ("machine", "examples", "steps"), [(History, 60, 40), (HistoryOfHelpers, 6, 25)], ids=["alone", "helpers"]
)
def test_every_date_of_a_random_history_is_restored_as_it_was(
    machine: type[History], examples: int, steps: int
) -> None:
    run_state_machine_as_test(
        machine, settings=settings(_CALM, max_examples=examples, stateful_step_count=steps)
    )
