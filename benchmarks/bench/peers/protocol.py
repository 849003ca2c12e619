# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rounds ask of a tool, whichever it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from bench.measuring import Figures
from bench.servers import Place

Step = Literal["full", "unchanged", "changed", "restore", "restore one", "list"]
STEPS: tuple[Step, ...] = ("full", "unchanged", "changed", "restore", "restore one", "list")
BACKUPS: tuple[Step, ...] = ("full", "unchanged", "changed")


@dataclass(frozen=True, slots=True)
class Task:
    """A repository to be made: what is backed up, where to, and a directory for the tool's own things."""

    name: str
    source: Path
    place: Place
    scratch: Path


class Repository(Protocol):
    """One tool's backups of one data set on one storage."""

    def back_up(self, step: Step) -> Figures:
        """Back up; ``full`` comes first and once."""

    def restore(self, target: Path) -> Figures:
        """Restore the newest backup into an empty directory."""

    def restore_one(self, path: Path, target: Path) -> Figures:
        """Restore one file of the source."""

    def list_backups(self) -> Figures:
        """List what backups there are."""

    def where(self, path: Path, target: Path) -> Path:
        """Return where a restore into ``target`` puts ``path`` of the source."""

    def remove(self) -> None:
        """Forget what is kept outside of ``scratch`` and the place."""


class Peer(Protocol):
    """A tool that can be run here."""

    @property
    def name(self) -> str:
        """The name in the tables."""

    @property
    def version(self) -> str:
        """The version, as the tool tells it."""

    @property
    def steps(self) -> Sequence[Step]:
        """What it can do."""

    @property
    def storages(self) -> Sequence[str]:
        """What it speaks."""

    @property
    def loses(self) -> Sequence[str]:
        """Aspects (of tests/compare) that a restore does not bring back, by the tool's own design."""

    @property
    def slow(self) -> bool:
        """Whether it takes so long that it is left out of some rounds."""

    @property
    def remarks(self) -> str:
        """How it was called, and what it does not do that others do."""

    def create(self, task: Task) -> Repository:
        """Make an empty repository; not measured.  Raises :class:`StepFailedError`."""
