# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where everything of a demonstration lies."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
COMPARER = REPOSITORY / "tests" / "compare" / "compare_trees.py"
SOURCE_NAMES = ("etc", "doc", "log", "large", "odd")
"""The trees below ``sources`` that are backed up, each one a path of both backup configurations."""


class DemoError(Exception):
    """A step of the demonstration failed; the message is for the person who runs it."""


def _root() -> Path:
    """Return where this demonstration lies; the tests run one of their own beside the user's."""
    return REPOSITORY / os.environ.get("PAPI_DEMO_ROOT", ".demo")


@dataclass(frozen=True, slots=True)
class Layout:
    """The directories of one demonstration below ``root``."""

    root: Path = field(default_factory=_root)

    @property
    def sources(self) -> Path:
        """What is backed up: copies, so that nothing moves while it is compared."""
        return self.root / "sources"

    @property
    def source_paths(self) -> list[Path]:
        """The paths that the backup configurations name."""
        return [self.sources / name for name in SOURCE_NAMES]

    @property
    def restored(self) -> Path:
        """Restored trees, by label."""
        return self.root / "restored"

    @property
    def collections(self) -> Path:
        """Where the built collection is installed."""
        return self.root / "collections"

    @property
    def report(self) -> Path:
        """What the playbook reports."""
        return self.root / "report.json"

    @property
    def logs(self) -> Path:
        """Logs of the servers and agents."""
        return self.root / "logs"

    @property
    def scratch(self) -> Path:
        """For the comparer's own little trees, on the file system of the restored ones."""
        return self.root / "scratch"

    def snapshot(self, number: int) -> Path:
        """Return where the state of the sources before backup ``number`` is kept."""
        return self.root / "snapshots" / str(number)

    def make(self) -> None:
        """Make the directories; the copies hold secrets of the machine, so they are the user's alone."""
        self.root.mkdir(mode=0o700, exist_ok=True)
        self.root.chmod(0o700)
        for directory in (self.sources, self.restored, self.logs, self.scratch):
            directory.mkdir(parents=True, exist_ok=True)


def remove_tree(path: Path) -> None:
    """Remove a tree, also one with directories that its owner must not write."""
    if os.geteuid() != 0:
        for directory, names, _files in os.walk(path):
            for name in names:
                inner = os.path.join(directory, name)
                if not os.path.islink(inner):
                    os.chmod(inner, stat.S_IRWXU)
    shutil.rmtree(path, ignore_errors=False)
