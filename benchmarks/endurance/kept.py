# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was told as a success, and has to restore exactly whenever it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

from endurance.drawing import PLACES, Place
from endurance.fingerprint import Fingerprint


@dataclass(frozen=True)
class Backup:
    """One backup: what it has to bring back, and the job that wrote it."""

    date: str
    path: str
    tree: Fingerprint
    job_id: int
    number: int
    told: bool = True
    """Whether its job was told as a success."""


@dataclass
class Kept:
    """The backups by place, oldest first, and what the trees of jobs that failed were."""

    backups: dict[Place, list[Backup]] = field(default_factory=lambda: {place: [] for place in PLACES})
    failed: dict[Place, list[Backup]] = field(default_factory=lambda: {place: [] for place in PLACES})

    def add(self, place: Place, backup: Backup) -> None:
        """Keep a backup."""
        self.backups[place].append(backup)

    def new(self, place: Place, listed: dict[str, str]) -> list[str]:
        """Return the dates that a storage lists and that were not known, oldest first."""
        known = {backup.date for backup in self.backups[place]}
        return sorted(date for date in listed if date not in known)

    def missing(self, place: Place, listed: dict[str, str]) -> list[str]:
        """Return the dates that a storage does not list any more."""
        return [backup.date for backup in self.backups[place] if backup.date not in listed]

    def chosen(self, place: Place, chosen: float) -> Backup:
        """Return one of them; ``chosen`` is from 0 up to 1."""
        there = self.backups[place]
        return there[int(chosen * len(there))]
