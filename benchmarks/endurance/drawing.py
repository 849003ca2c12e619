# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each job is and what befalls it: drawn from the seed and the job's number, and from nothing else."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Literal

Kind = Literal["full", "inc", "restore", "plan"]
Place = Literal["sftp", "s3", "cluster"]
Action = Literal["reset", "end", "stall", "refuse", "kill"]

KINDS: tuple[Kind, ...] = ("full", "inc", "restore", "plan")
PLACES: tuple[Place, ...] = ("sftp", "s3", "cluster")
_KIND_WEIGHTS = (25, 35, 25, 15)
_PLACE_WEIGHTS = (42, 42, 16)
_QUIET = 0.12
"""The share of jobs that nothing befalls."""

_FEWEST_BYTES, _MOST_BYTES = 500, 3_000_000
_LATEST_SECONDS = 1.5
_LONG = 0.03
"""The share of stalls and refusals that outlast what an agent waits for."""

_SHORT_SECONDS, _LONG_SECONDS = (0.3, 5.0), (45.0, 70.0)
LONGEST_SECONDS = _LONG_SECONDS[1]


@dataclass(frozen=True, slots=True)
class Blow:
    """One thing that befalls a job.

    It comes once the line has carried so many ``after_bytes`` since the job began, or since the blow before,
    or at the latest when ``after_seconds`` are over.  ``length``: seconds that a stall, a refusal or the
    absence of a server lasts.  ``which``: the volume server that is killed.
    """

    action: Action
    after_bytes: int
    after_seconds: float
    length: float = 0.0
    which: int = 0


@dataclass(frozen=True, slots=True)
class Drawn:
    """One job.  ``chosen``, from 0 up to 1, says which of the backups that there are is restored."""

    number: int
    place: Place
    kind: Kind
    chosen: float
    blows: tuple[Blow, ...]

    def __str__(self) -> str:
        return f"{self.number:>4} {self.place:<7} {self.kind:<7}"


def chance_of(seed: int, number: int, what: str) -> random.Random:
    """Return the chance of one job, for one purpose; purposes do not disturb each other."""
    return random.Random(f"{seed}/{number}/{what}")  # noqa: S311 (repeatable, no secret)


def draw(seed: int, number: int) -> Drawn:
    """Draw a job."""
    chance = chance_of(seed, number, "job")
    place: Place = chance.choices(PLACES, _PLACE_WEIGHTS)[0]
    kind: Kind = chance.choices(KINDS, _KIND_WEIGHTS)[0]
    chosen = chance.random()
    if chance.random() < _QUIET:
        return Drawn(number, place, kind, chosen, ())
    if place == "cluster":
        return Drawn(number, place, kind, chosen, (_kill(chance),))
    count = chance.choice((1, 1, 2, 3, 5, 8))
    return Drawn(number, place, kind, chosen, tuple(_blow(chance) for _unused in range(count)))


def _blow(chance: random.Random) -> Blow:
    action: Action = chance.choices(("reset", "end", "stall", "refuse"), (40, 25, 17, 18))[0]
    size, seconds = _moment(chance)
    if action in ("reset", "end"):
        return Blow(action, size, seconds)
    length = chance.uniform(*(_LONG_SECONDS if chance.random() < _LONG else _SHORT_SECONDS))
    return Blow(action, size, seconds, length)


def _kill(chance: random.Random) -> Blow:
    size, seconds = _moment(chance)
    return Blow("kill", size, seconds, chance.uniform(0.5, 12.0), chance.randrange(3))


def _moment(chance: random.Random) -> tuple[int, float]:
    """Return bytes and seconds: as often in the first kilobytes as in the last hundreds of them."""
    size = int(math.exp(chance.uniform(math.log(_FEWEST_BYTES), math.log(_MOST_BYTES))))
    return size, chance.uniform(0.0, _LATEST_SECONDS) if chance.random() < 0.3 else math.inf
