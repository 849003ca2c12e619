# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays one story in a directory of its own, and tells of each of its points."""

from __future__ import annotations

import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kills.api_story import ApiStory
from kills.engine_story import EngineStory
from kills.places import Servers, remove
from kills.points import Point, Story


class Played(Protocol):
    """A host in front of its place."""

    def begin(self) -> None:
        """Make its first backups."""

    def play(self, point: Point) -> str:
        """Kill once and check; return words.  Raises FoundFaultError."""

    def end(self) -> str:
        """Check everything; return words.  Raises FoundFaultError."""

    def close(self) -> None:
        """End what it runs."""


@dataclass(frozen=True, slots=True)
class Told:
    """How a story went: the actions of the points that count, and the number at which something was lost."""

    story: Story
    done: tuple[str, ...]
    lost_at: int | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where stories play.  After ``deadline``, of the monotonic clock, no point begins."""

    servers: Servers
    base: Path
    deadline: float


def say(text: str) -> None:
    """Print a line at once; several processes do."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def play(stage: Stage, story: Story, counted: range) -> Told:
    """Play a story up to the last of the points that count, or to the deadline."""
    directory = stage.base / f"story-{story.seed}-{story.number}"
    directory.mkdir()
    number, done = story.numbers.start, list[str]()
    head = f"{story.level:<6} {story.storage:<3}"
    played: Played | None = None
    try:
        make = EngineStory if story.level == "engine" else ApiStory
        played = make(stage.servers.place(story.storage, directory), directory, story.chance)
        played.begin()
        for number in range(story.numbers.start, counted.stop):
            if time.monotonic() >= stage.deadline:
                break
            begun, point = time.monotonic(), story.point(number)
            words = played.play(point)
            mark = "" if number in counted else " (leads there)"
            say(f"{number:>5} {head} {time.monotonic() - begun:5.1f} s  {words}{mark}")
            if number in counted:
                done.append(f"{story.level} {story.storage} {point.action}")
        say(f"      {head} {played.end()}")
    except Exception:  # whatever it is, it is told with what repeats it
        say(f"{number:>5} {head} LOST")
        return Told(story, tuple(done), number, traceback.format_exc())
    finally:
        if played is not None:
            played.close()
    remove(directory)
    return Told(story, tuple(done))
