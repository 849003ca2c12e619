# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores by the agent's own engine and by recover.py, compared with what was backed up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from seen_trees import Thing, Tree, tree_on_disk

from kills.apart import apart
from kills.faults import expect
from kills.places import Place
from kills.points import Reader
from papi_backup.engine.restore import run_restore
from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.job import Progress, RestoreOptions, RestoreOrder
from papi_backup.model.secret import Secret

RECOVER = Path(__file__).parents[2] / "agent" / "recover.py"
READERS: tuple[Reader, ...] = ("agent", "recover")


@dataclass(frozen=True, slots=True)
class Reading:
    """What readers know of the backups of one name: where they lie, their key, and the tree's path."""

    place: Place
    host_name: str
    backup_name: str
    key: str
    tree: Path
    scratch: Path

    def check(self, reader: Reader, entry: CatalogEntry, wanted: Sequence[Tree]) -> None:
        """Restore a backup's date; raise FoundFaultError unless it is one of the wanted trees."""
        target = self.scratch / "out"
        {"agent": self._by_agent, "recover": self._by_recover}[reader](entry, target)
        compare(target, self.tree, wanted, f"{entry.path} as {reader} restores it")
        shutil.rmtree(target)

    def _by_agent(self, entry: CatalogEntry, target: Path) -> None:
        options = RestoreOptions(
            storage_id=1,
            backup_name=self.backup_name,
            restore_date=entry.date,
            hostname=self.host_name,
            encryption_key=Secret(self.key),
            target_dir=os.fspath(target),
        )
        own = (os.fspath(self.scratch / "nothing"),)
        order = RestoreOrder(self.host_name, self.place.access, options, own, helpers=0)
        result = apart(lambda: run_restore(order, self.place.open, _ignore))
        expect(not result.warnings, f"{entry.path} restores with warnings: {result.warnings}")

    def _by_recover(self, entry: CatalogEntry, target: Path) -> None:
        command = [sys.executable, "-I", os.fspath(RECOVER), os.fspath(self.place.objects())]
        command += ["--host", self.host_name, "--name", self.backup_name, "--target", os.fspath(target)]
        command += ["--date", f"{entry.date:%Y-%m-%d %H:%M:%S}"]
        if self.key:
            key_file = self.scratch / "key-file"
            key_file.write_text(f"{self.key}\n")
            command += ["--key-file", os.fspath(key_file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={}, cwd="/")
        words = f"{entry.path}: recover.py ends with {done.returncode}: {done.stderr[-2000:]}"
        expect(done.returncode == 0 and not done.stderr, words)


def compare(target: Path, tree: Path, wanted: Sequence[Tree], words: str) -> None:
    """Raise FoundFaultError unless a target holds one of the wanted trees at its path, and nothing else."""
    path = os.fsencode(tree.relative_to("/"))
    ancestors = {path[:end] for end, byte in enumerate(path) if byte == ord("/")}
    restored: Tree = {}
    for name, thing in tree_on_disk(target).items():
        if name == path or name.startswith(path + b"/"):
            restored[name[len(path) + 1 :]] = thing
        else:
            expect(not name or name in ancestors, f"{words}: {name!r} is no part of it")
    # Names of one file that lie outside of the tree would be no peers: there are none.
    below = {name: _within(thing, path) for name, thing in restored.items()}
    expect(below in wanted, f"{words}: {differences(wanted[-1], below)}")


def _within(thing: Thing, path: bytes) -> Thing:
    return replace(thing, peers=frozenset(peer[len(path) + 1 :] for peer in thing.peers))


def differences(wanted: Tree, found: Tree) -> str:
    """Return words for the first differences."""
    names = [name for name in sorted(wanted.keys() | found.keys()) if wanted.get(name) != found.get(name)]
    told = [f"{name!r}: {wanted.get(name)} became {found.get(name)}" for name in names[:3]]
    return f"{len(names)} differ: {'; '.join(told)}"


def _ignore(progress: Progress) -> None:
    del progress
