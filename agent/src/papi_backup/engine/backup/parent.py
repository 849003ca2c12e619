# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chooses the backup that an incremental extends, or says why a new chain starts.

The rules are in docs/design.md, "Chains".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from papi_backup.engine.authentic import SECONDS, Trial, Unopened, by_second
from papi_backup.engine.catalog import Manifests
from papi_backup.engine.crypto import chain_key_of
from papi_backup.engine.format.names import CATALOG
from papi_backup.engine.format.pages import Volume
from papi_backup.engine.high_water import HighWater
from papi_backup.engine.keyring import KeyRing
from papi_backup.engine.opened import OpenedBackup, PageReader, SegmentCache, listed_sizes, wrong_volumes
from papi_backup.engine.storage.protocol import Storage
from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.errors import CorruptedBackupError, DecryptionKeyError
from papi_backup.model.job import BackupOrder
from papi_backup.model.secret import Secret

LONGEST_CHAIN = 200
"""Incrementals of one chain."""
BELIEVABLE = timedelta(hours=24)
"""A name dated further ahead does not raise the next date (a storage's owner could forge it)."""
_TOLD = 10
"""Installations and manifests that are named; the others are counted."""
_AHEAD = "the previous backup is dated more than a day ahead"


@dataclass(frozen=True, slots=True)
class Parent:
    """The opened parent, the volumes its chain has with their sizes, and all objects that lie there."""

    opened: OpenedBackup
    volumes: Mapping[tuple[str, str, int], int]
    listed: Mapping[str, int]


@dataclass(slots=True)
class Choice:
    """What was decided: a parent, or none and the reason; warnings either way."""

    parent: Parent | None = None
    reason: str = ""
    warnings: list[str] = field(default_factory=list)


def known_keys(order: BackupOrder) -> dict[str, Secret]:
    """Return the cached chain keys that this order's encryption key is known to open."""
    known = {}
    for chain, cached in order.known_chain_keys:
        chain_key = chain_key_of(cached, order.encryption_key)
        if chain_key is not None:
            known[chain] = chain_key
    return known


class Earlier:
    """The backups of a name as they count for the next one.

    A name alone does not count: anybody who may add objects can plant one.  What this agent's mark names is
    its own; everything else is opened first.
    """

    def __init__(
        self, storage: Storage, order: BackupOrder, manifests: Manifests, seconds: float = SECONDS
    ) -> None:
        """``seconds``: how long manifests are tried."""
        self.entries = manifests.whole
        self.mark = HighWater(order.high_water)
        self.known = self.mark.found_in(manifests.whole)
        self.lost = self.mark.missing_from(manifests, order.host_name)
        self.own = [entry for entry in manifests.whole if entry.instance == order.instance_id]
        self._encrypts = bool(order.encryption_key)
        ring = KeyRing(order.encryption_key, known_keys(order))
        own = self.known.path if self.known else ""
        self._trial = Trial(storage, ring, manifests, own=own, seconds=seconds)
        self._tried: dict[str, OpenedBackup | Unopened | None] = {}

    def attempt(self, entry: CatalogEntry) -> OpenedBackup | Unopened | None:
        """Open a backup, once; None where a bound forbids it.  Raises what the storage raises."""
        if entry.path not in self._tried:
            self._tried[entry.path] = self._trial.attempt(entry)
        return self._tried[entry.path]

    def counts(self, entry: CatalogEntry) -> bool:
        """Return whether a backup is one for this agent.  Raises what the storage raises."""
        return entry == self.known or isinstance(self.attempt(entry), OpenedBackup)

    def newest(self, among: Sequence[CatalogEntry]) -> tuple[CatalogEntry | None, list[CatalogEntry]]:
        """Return the newest that counts, and newer ones that do not.  Raises what the storage raises.

        A backup without encryption opens for everybody: beside one that the mark names it proves nothing.
        """
        passed_over: list[CatalogEntry] = []
        if self.known is not None and self.known in among:
            self.attempt(self.known)  # before others have used up what is spent on them
        for group in by_second(among):
            for entry in self._trial.likeliest(group):
                proves = self._encrypts or self.known not in among
                if entry == self.known or (proves and self.counts(entry)):
                    return entry, passed_over
                passed_over.append(entry)
        return None, passed_over

    def next_date(self, now: datetime) -> datetime:
        """Return the new backup's date: now in whole seconds, later than every believable one that counts.

        Raises what the storage raises.
        """
        date = now.replace(microsecond=0)
        later = [entry for entry in self.entries if date <= entry.date <= now + BELIEVABLE]
        for group in by_second(later):
            if any(map(self.counts, self._trial.likeliest(group))):
                return group[0].date + timedelta(seconds=1)
        return date


def choose_parent(
    storage: Storage,
    order: BackupOrder,
    earlier: Earlier,
    now: datetime,
    cache: SegmentCache | None,
    *,
    damage: str = "",
) -> Choice:
    """Return the parent for an incremental; raises only what the storage raises.

    ``damage`` tells what was found wrong with the parent when it was used before.
    """
    choice = Choice()
    _warn_of_others(choice, order, earlier.entries)
    if earlier.lost:
        choice.warnings.append(earlier.lost)
    ahead = _ahead_of(now, choice, earlier.own)
    if order.backup_type == "full":
        return choice
    if damage:
        _give_up(choice, damage)
        return choice
    believable = [entry for entry in earlier.own if entry not in ahead]
    newest, passed_over = earlier.newest(believable)
    if newest is None and not passed_over:
        choice.reason = _AHEAD if ahead else "there is no backup of this agent yet"
        return choice
    if newest is None:
        choice.reason = _unfit(passed_over[0], order)
        if not choice.reason:
            _take_up(choice, order, earlier, passed_over[0])
        return choice
    choice.warnings.extend(passed_over_told(passed_over))
    if any(entry.chain == newest.chain and earlier.counts(entry) for entry in ahead):
        choice.reason = _AHEAD
    if earlier.known in ahead:
        choice.reason = _AHEAD
    choice.reason = choice.reason or _unfit(newest, order)
    opened = None if choice.reason else _take_up(choice, order, earlier, newest)
    if opened is not None:
        _check_volumes(choice, storage, opened, cache)
    return choice


def _take_up(
    choice: Choice, order: BackupOrder, earlier: Earlier, entry: CatalogEntry
) -> OpenedBackup | None:
    """Return the opened backup if its chain can be extended; else the reason stands in the choice."""
    opened = earlier.attempt(entry)
    if isinstance(opened, OpenedBackup):
        choice.reason = _unfit_chain(opened, order)
        return None if choice.reason else opened
    if opened is None:
        choice.reason = "too many manifests that do not open lie before the previous backup"
    elif isinstance(opened.error, DecryptionKeyError):
        choice.reason = "the encryption key has changed"
    else:
        _give_up(choice, opened.error.message)
    return None


def _check_volumes(
    choice: Choice, storage: Storage, opened: OpenedBackup, cache: SegmentCache | None
) -> None:
    try:
        volumes = set(PageReader(storage, opened, cache).volumes())
        listed = listed_sizes(storage, opened)
        wrong = wrong_volumes(listed, opened, volumes)
    except CorruptedBackupError as error:
        _give_up(choice, error.message)
        return
    if wrong:
        name, problem = wrong[0]
        choice.reason = f"{len(wrong)} volumes of the chain are damaged: {name} {problem}"
    else:
        choice.parent = Parent(opened, _sizes(volumes), listed)


def passed_over_told(entries: Sequence[CatalogEntry]) -> list[str]:
    """Return a warning that names manifests which are not this agent's; none where there are none."""
    if not entries:
        return []
    named = ", ".join(CATALOG + entry.path for entry in entries[:_TOLD])
    more = f", and {len(entries) - _TOLD:,} more" if len(entries) > _TOLD else ""
    return [f"what bears the id of this installation but does not open was passed over: {named}{more}"]


def _give_up(choice: Choice, damage: str) -> None:
    choice.reason = f"the previous backup cannot be used: {damage.rstrip('.')}"
    choice.warnings.append(damage)


def _sizes(volumes: set[Volume]) -> dict[tuple[str, str, int], int]:
    return {(volume.backup, volume.kind, volume.number): volume.size for volume in volumes}


def _warn_of_others(choice: Choice, order: BackupOrder, entries: Sequence[CatalogEntry]) -> None:
    others = sorted({entry.instance for entry in entries} - {order.instance_id})
    if others:
        more = f", and {len(others) - _TOLD:,} more" if len(others) > _TOLD else ""
        choice.warnings.append(
            f"other installations ({', '.join(others[:_TOLD])}{more}) also write backups of host "
            f"{order.host_name} under this name; this one is {order.instance_id}. "
            "Give each host a host_name of its own."
        )


def _ahead_of(now: datetime, choice: Choice, own: Sequence[CatalogEntry]) -> list[CatalogEntry]:
    """Return the backups of an unbelievable date, and warn of them.

    They are passed over, or one forged name would make every incremental a full one; the chain of
    a real one (this host's clock was wrong) is not extended.
    """
    ahead = [entry for entry in own if entry.date > now + BELIEVABLE]
    choice.warnings.extend(f"{entry.path} is dated more than a day ahead of this clock" for entry in ahead)
    return ahead


def _unfit(newest: CatalogEntry, order: BackupOrder) -> str:
    if not newest.readable:
        return "the previous backup is of a newer format version"
    if order.encryption_key and not newest.encrypted:
        return "the previous backup is not encrypted"
    if newest.encrypted and not order.encryption_key:
        return "the previous backup is encrypted and this one is not"
    return ""


def _unfit_chain(opened: OpenedBackup, order: BackupOrder) -> str:
    if not opened.header.extendable:
        return "the chain needs features that this version does not write"
    if opened.header.file_size > order.access.storage.volume_size:
        return "the storage's file size has become too small for the chain"
    if opened.manifest.sequence >= LONGEST_CHAIN:
        return f"the chain has {LONGEST_CHAIN} incrementals"
    return ""
