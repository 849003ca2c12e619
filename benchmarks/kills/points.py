# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens at each point: a seed and the point's number alone decide.

Some points in a row are a story: they share a storage's place, which each finds as the one before left it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from kills.methods import METHODS

StorageKind = Literal["ssh", "s3"]
Level = Literal["engine", "api"]
Action = Literal["full", "inc", "restore", "changes"]
Reader = Literal["agent", "recover"]
Victim = Literal["worker", "helper", "agent", "all"]

STORAGES: tuple[StorageKind, ...] = ("ssh", "s3")
LEVELS: tuple[Level, ...] = ("engine", "api")
STORY_POINTS = 8
_ENGINE_ACTIONS: tuple[Action, ...] = ("full", "inc", "inc", "restore")
_API_ACTIONS: tuple[Action, ...] = ("full", "inc", "inc", "restore", "restore", "changes")
_VICTIMS: tuple[Victim, ...] = ("worker", "helper", "agent", "all")
_WEIGHTS = {"write": 4, "commit": 4, "create": 3, "get": 3, "list": 2}


def chance_of(*parts: object) -> random.Random:
    """Return the randomness of whatever the parts name."""
    return random.Random("/".join(map(str, parts)))  # noqa: S311 (repeatable, no secret)


@dataclass(frozen=True, slots=True)
class Story:
    """Points in a row on one place."""

    seed: int
    number: int
    storages: tuple[StorageKind, ...] = STORAGES

    @property
    def level(self) -> Level:
        """Whether the engine is killed, or an agent that is asked over its API."""
        return LEVELS[self.number % 2]

    @property
    def storage(self) -> StorageKind:
        """Where it plays."""
        return self.storages[self.number // 2 % len(self.storages)]

    @property
    def numbers(self) -> range:
        """The numbers of its points."""
        return range(self.number * STORY_POINTS, (self.number + 1) * STORY_POINTS)

    @property
    def chance(self) -> random.Random:
        """The randomness of what its points share."""
        return chance_of(self.seed, "story", self.number)

    def point(self, number: int) -> Point:
        """Return one of its points."""
        return _drawn(chance_of(self.seed, number), self.level, number)


@dataclass(frozen=True, slots=True)
class Point:
    """One kill.  ``share`` (0 to 1) says how far what is killed has come, in calls or in seconds.

    ``methods``: the storage's method in which the engine dies is the first of them that it calls at all,
    ``after`` the call was done or before.  ``helpers`` is how many the engine has.  ``settles``: whether
    the outcome that was lost is asked of the storage before the next backup.  ``newest`` reads the newest
    backup after the kill, the other reader the earlier one that ``earlier`` (0 to 1) picks.
    """

    number: int
    action: Action
    share: float
    methods: tuple[str, ...]
    after: bool
    helpers: int
    settles: bool
    victim: Victim
    newest: Reader
    earlier: float
    changes: int

    @property
    def other(self) -> Reader:
        """The reader of the earlier backup."""
        return "recover" if self.newest == "agent" else "agent"


def _drawn(chance: random.Random, level: Level, number: int) -> Point:
    return Point(
        number=number,
        action=chance.choice(_ENGINE_ACTIONS if level == "engine" else _API_ACTIONS),
        share=chance.random(),
        methods=_order(chance),
        after=chance.random() < 0.5,
        helpers=chance.choice((0, 0, 1, 2)),
        settles=chance.random() < 0.5,
        victim=chance.choice(_VICTIMS),
        newest=chance.choice(("agent", "recover")),
        earlier=chance.random(),
        changes=chance.getrandbits(32),
    )


def _order(chance: random.Random) -> tuple[str, ...]:
    """Return the methods in a random order that has those which change most rather first."""
    keys = {name: chance.random() ** (1 / _WEIGHTS.get(name, 1)) for name in METHODS}
    return tuple(sorted(METHODS, key=keys.__getitem__, reverse=True))


def stories(seed: int, first: int, points: int, storages: Sequence[StorageKind]) -> list[tuple[Story, range]]:
    """Return the stories that have the points from number ``first`` on, and which of their own count."""
    wanted = range(first, first + points)
    told = []
    for number in range(first // STORY_POINTS, (wanted.stop - 1) // STORY_POINTS + 1):
        story = Story(seed, number, tuple(storages))
        own = story.numbers
        told.append((story, range(max(own.start, wanted.start), min(own.stop, wanted.stop))))
    return told
