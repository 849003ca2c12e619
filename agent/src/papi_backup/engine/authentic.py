# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the manifests on a storage is a backup: the one that opens, whatever the others are called.

Whoever may add objects to a storage can plant manifests of any date.  So those of one second are all
candidates, and what does not open never hides what does.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from operator import attrgetter

from papi_backup.engine.catalog import Manifests
from papi_backup.engine.format.names import CATALOG
from papi_backup.engine.keyring import MOST_HEADERS, KeyRing, SpentError
from papi_backup.engine.opened import OpenedBackup, open_manifest
from papi_backup.engine.storage.protocol import Storage
from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.errors import (
    CorruptedBackupError,
    DecryptionKeyError,
    DecryptionKeyMissingError,
    PapiError,
)

MOST_BYTES = 64 << 20
"""Bytes of manifests that are fetched in vain."""
SECONDS = 10.0
"""How long manifests are tried: well within the deadline of a plan.  The first is tried in any case."""
FIRST_TOLD = 10
"""Manifests that are named; the others are counted."""


@dataclass(frozen=True, slots=True)
class Unopened:
    """A manifest that is no backup for the key at hand, and why."""

    entry: CatalogEntry
    error: PapiError

    @property
    def name(self) -> str:
        """The manifest's object name."""
        return CATALOG + self.entry.path

    @property
    def reason(self) -> str:
        """The error in two or three words."""
        if isinstance(self.error, CorruptedBackupError):
            return "damaged"
        if isinstance(self.error, DecryptionKeyMissingError):
            return "encrypted"
        return "another key" if self.entry.encrypted else "not encrypted"


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of trying: a backup or none, what does not open, and what was not tried any more."""

    opened: OpenedBackup | None = None
    failed: tuple[Unopened, ...] = ()
    untried: int = 0

    @property
    def told(self) -> str:
        """The manifests that do not open, the first by name; "" if there is none."""
        named = ", ".join(f"{one.name} ({one.reason})" for one in self.failed[:FIRST_TOLD])
        more = len(self.failed) - FIRST_TOLD
        return named + (f", and {more:,} more" if more > 0 else "")

    @property
    def untried_told(self) -> str:
        """A sentence about what was not tried; "" if all was."""
        if not self.untried:
            return ""
        return (
            f" {self.untried:,} more were not tried, because no more than {MOST_HEADERS} headers and "
            f"{SECONDS:g} seconds are spent on what does not open."
        )


class Trial:
    """Opens one manifest after the other, until a bound is reached."""

    def __init__(
        self,
        storage: Storage,
        ring: KeyRing,
        manifests: Manifests,
        *,
        own: str = "",
        seconds: float = SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``own``: path of the manifest that this agent knows to be its own; it is tried before others."""
        self.ring = ring
        self._storage = storage
        self._own = own
        self._modified = manifests.modified
        self._cut = frozenset(entry.path for entry in manifests.cut)
        self._seconds = seconds
        self._monotonic = monotonic
        self._until: float | None = None
        self._wasted = 0

    def best_of(self, entries: Collection[CatalogEntry]) -> Tried:
        """Try manifests of one second; of several that open the one with the highest id is the backup.

        The likeliest come first: what the agent knows, then what was on the storage before the others, for
        nobody can have copied a backup before it was there.  Raises what the storage raises.
        """
        opened: OpenedBackup | None = None
        failed: list[Unopened] = []
        untried = 0
        for entry in self.likeliest(entries):
            if opened is not None and entry.backup <= opened.entry.backup:
                continue
            result = self.attempt(entry)
            if isinstance(result, OpenedBackup):
                opened = result
                if entry.path == self._own and not entry.encrypted:
                    break  # Others open as well, and nothing but the mark proves who wrote one.
            elif result is not None:
                failed.append(result)
            else:
                untried += 1
            if isinstance(result, Unopened) and isinstance(result.error, DecryptionKeyMissingError):
                break
        return Tried(opened, tuple(failed), untried)

    def attempt(self, entry: CatalogEntry) -> OpenedBackup | Unopened | None:
        """Try one manifest; None where a bound forbids it.  Raises what the storage raises.

        What the agent knows as its own is fetched however much time and how many bytes others have cost.
        """
        name = CATALOG + entry.path
        if entry.path in self._cut:
            text = f"{name} is damaged: it does not have the {entry.manifest_size} bytes that its name tells."
            return Unopened(entry, CorruptedBackupError(text, name))
        try:
            self.ring.refuse_protection(name, encrypted=entry.encrypted)
            if self._is_spent() and entry.path != self._own:
                return None
            return open_manifest(self._storage, entry, self.ring)
        except SpentError:
            return None
        except (DecryptionKeyError, DecryptionKeyMissingError, CorruptedBackupError) as error:
            self._wasted += entry.manifest_size
            return Unopened(entry, error)

    def _is_spent(self) -> bool:
        now = self._monotonic()
        if self._until is None:
            self._until = now + self._seconds
            return False
        return now >= self._until or self._wasted > MOST_BYTES

    def likeliest(self, entries: Collection[CatalogEntry]) -> list[CatalogEntry]:
        """Return manifests of one second in the order in which they are tried."""

        def unlikely(entry: CatalogEntry) -> tuple[bool, float, bool]:
            return entry.path != self._own, self._modified.get(entry.path, 0.0), not entry.encrypted

        highest_first = sorted(entries, key=attrgetter("backup"), reverse=True)
        return sorted(highest_first, key=unlikely)


def by_second(entries: Collection[CatalogEntry]) -> list[list[CatalogEntry]]:
    """Return the manifests of each second, the newest second first."""
    ordered = sorted(entries, key=attrgetter("date"), reverse=True)
    return [list(group) for _date, group in itertools.groupby(ordered, attrgetter("date"))]


def newest_that_opens(trial: Trial, entries: Collection[CatalogEntry]) -> tuple[Tried, Tried]:
    """Return what is of the newest second with a backup, and what is of later ones, which have none.

    The first has no backup where no manifest opens.  Without a key the first encrypted second ends the
    search.  Raises what the storage raises.
    """
    failed: list[Unopened] = []
    untried = 0
    for group in by_second(entries):
        tried = trial.best_of(group)
        if tried.opened is not None:
            return tried, Tried(None, tuple(failed), untried)
        failed.extend(tried.failed)
        untried += tried.untried
        if any(isinstance(one.error, DecryptionKeyMissingError) for one in tried.failed):
            break
    return Tried(), Tried(None, tuple(failed), untried)


def refusal(newer: Tried, older: OpenedBackup | None, *, key_fits: bool, also: str = "") -> PapiError:
    """Return why nothing is restored: the ``newer`` manifests do not open, and ``older`` is not them.

    ``also``: what else is to be told.

    4004 where the key is right and one of them is damaged, else 4002 (4003 without a key).
    """
    lead = _lead(newer.failed, key_fits=key_fits)
    text = lead.error.message
    others = [one for one in newer.failed if one is not lead]
    if others:
        count = f"{len(others):,} other{'s' if len(others) > 1 else ''}"
        text += f" Nor could {count} be opened: {Tried(None, tuple(others)).told}."
    text += newer.untried_told
    if older is not None:
        text += (
            f" The newest backup that opens is of {older.entry.date:%Y-%m-%d %H:%M:%S} UTC "
            f"({CATALOG}{older.entry.path}): that restore_date gives it."
        )
    text += sentence(also)
    error = lead.error
    if isinstance(error, CorruptedBackupError):
        return CorruptedBackupError(text, error.object_name)
    return type(error)(text)


def sentence(text: str) -> str:
    """Return a text as a sentence more; "" for none."""
    return f" {text[0].upper()}{text[1:]}." if text else ""


def _lead(failed: Sequence[Unopened], *, key_fits: bool) -> Unopened:
    """Return what decides the code."""
    for wanted in (DecryptionKeyMissingError, CorruptedBackupError if key_fits else DecryptionKeyError):
        for one in failed:
            if isinstance(one.error, wanted):
                return one
    return failed[0]
