# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for the tests of the benchmark: a storage that is a directory, and tools that copy."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.measuring import Figures, StepFailedError
from bench.options import Options
from bench.peers.protocol import STEPS, Repository, Step, Task


@dataclass(frozen=True)
class DirectoryServer:
    """A storage without a server."""

    base: Path
    kind: str = "sftp"

    def bytes_stored(self, name: str) -> int:
        return sum(path.stat().st_size for path in (self.base / name).rglob("*") if path.is_file())

    def remove(self, name: str) -> None:
        shutil.rmtree(self.base / name, ignore_errors=True)


def whole(copied: Path) -> None:
    """Leave the copy as it is."""


@dataclass(frozen=True)
class Copier:
    """A tool that copies the source; ``spoil`` is what it does to each restore."""

    name: str
    base: Path
    calls: list[tuple[str, str]]
    spoil: Callable[[Path], None] = whole
    fails_at: str = ""
    slow: bool = False
    version: str = "1"
    steps: Sequence[Step] = STEPS
    storages: Sequence[str] = ("sftp",)
    loses: Sequence[str] = ()
    remarks: str = "copies"

    def create(self, task: Task) -> Repository:
        return _Copies(self, task)


@dataclass
class _Copies:
    tool: Copier
    task: Task
    figures: Figures = field(default=Figures(1.0, 0.5, 1000))

    @property
    def _copy(self) -> Path:
        return self.tool.base / self.task.place.name

    def back_up(self, step: Step) -> Figures:
        self._note(step)
        shutil.rmtree(self._copy, ignore_errors=True)
        _copy(self.task.source, self._copy)
        return self.figures

    def restore(self, target: Path) -> Figures:
        self._note("restore")
        _copy(self._copy, target / "it")
        self.tool.spoil(target / "it")
        return self.figures

    def restore_one(self, path: Path, target: Path) -> Figures:
        self._note("restore one")
        place = self.where(path, target)
        place.parent.mkdir(parents=True)
        shutil.copy2(self._copy / path.relative_to(self.task.source), place)
        return self.figures

    def list_backups(self) -> Figures:
        self._note("list")
        return self.figures

    def where(self, path: Path, target: Path) -> Path:
        return target / "it" / path.relative_to(self.task.source)

    def remove(self) -> None:
        self._note("remove")

    def _note(self, what: str) -> None:
        self.tool.calls.append((self.tool.name, what))
        if what == self.tool.fails_at:
            raise StepFailedError("it broke")


def _copy(source: Path, target: Path) -> None:
    """Copy with everything that the comparer looks at."""
    subprocess.run(["/bin/cp", "-a", str(source), str(target)], check=True)


def options(work: Path, **changed: object) -> Options:
    """Return a small run's options."""
    wanted: dict[str, object] = {
        "sets": ("tiny",),
        "storages": ("sftp",),
        "peers": ("ours",),
        "scale": 0.001,
        "rounds": 1,
        "slow_rounds": 1,
        "work": work / "work",
        "output": work / "report",
    }
    return Options(**{**wanted, **changed})  # type: ignore[arg-type] -- a test's own choice
