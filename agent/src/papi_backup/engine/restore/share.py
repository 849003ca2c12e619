# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the processes of one restore tell each other: the plan, shares of work, and what came of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from papi_backup.engine.format.entries import Entry
from papi_backup.engine.opened import OpenedBackup
from papi_backup.engine.restore.index import Leaf
from papi_backup.engine.restore.tally import Tally
from papi_backup.engine.restore.tree import Target
from papi_backup.host_paths import Identity

LARGE_FILE = 32 << 20
"""Files from this size on are shares of their own, so that several processes take one each."""


@dataclass(frozen=True, slots=True)
class WorkPlan:
    """Everything that does not change between shares.  ``missing``: volumes not worth asking for.

    ``root`` is the descriptor of the target's directory in the process that holds the plan.
    ``token`` marks the temporary files of this restore.
    """

    opened: OpenedBackup
    target: Target
    root: int
    include: tuple[str, ...]
    missing: frozenset[str]
    needed_bytes: int
    token: str
    separate_large: bool
    numeric_owner: bool = False


@dataclass(frozen=True, slots=True)
class Share:
    """Neighbouring leaves, or the large files in some rows of one leaf."""

    leaves: tuple[Leaf, ...]
    rows: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class PendingDirectory:
    """A directory whose metadata must wait until everything is written.

    ``only_if_made``: it is above what was asked for, and keeps its metadata if it was there before.
    ``changed``: this restore has just made it, or found it with other metadata.
    """

    entry: Entry
    only_if_made: bool
    changed: bool


@dataclass(frozen=True, slots=True)
class PendingLink:
    """A hard link whose first name another process writes; ``leaf`` and ``row`` find its own entry."""

    group: str
    path: bytes
    leaf: Leaf
    row: int


class Head(NamedTuple):
    """The first name of a file that has several, and what that is: others may give the name away."""

    path: bytes
    identity: Identity


@dataclass(slots=True)
class ShareResult:
    """What came of a share."""

    tally: Tally
    directories: list[PendingDirectory] = field(default_factory=list)
    links: list[PendingLink] = field(default_factory=list)
    large: list[Share] = field(default_factory=list)
    made: set[bytes] = field(default_factory=set)
    devices: dict[int, bytes] = field(default_factory=dict)
    heads: dict[str, Head] = field(default_factory=dict)
    """First names that were put in their places, by link group."""
    failed_groups: dict[str, str] = field(default_factory=dict)
    """Link groups whose first name failed: to the damage that is to blame, "" where this host is."""
