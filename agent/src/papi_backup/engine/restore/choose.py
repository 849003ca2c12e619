# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backup a restore uses, and what the storage tells about it before anything is written."""

from __future__ import annotations

from dataclasses import dataclass

from papi_backup.engine.authentic import SECONDS, Trial, Tried, newest_that_opens, refusal, sentence
from papi_backup.engine.catalog import Manifests, at_or_before, list_manifests
from papi_backup.engine.format.names import CATALOG
from papi_backup.engine.high_water import HighWater
from papi_backup.engine.keyring import KeyRing
from papi_backup.engine.opened import OpenedBackup, missing_volumes
from papi_backup.engine.restore.index import Index
from papi_backup.engine.storage.protocol import Storage
from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.errors import CorruptedBackupError, NoSuchEntityError
from papi_backup.model.job import RestoreOrder

FIRST_TOLD = 10
"""Backups that are named; the others are counted."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The backup of a date.  ``listed``: backups of its chain up to it that the storage lists.

    ``raises``: the mark that this agent should keep from now on, "" for the one it has.
    """

    opened: OpenedBackup
    listed: int
    warnings: tuple[str, ...] = ()
    raises: str = ""

    @property
    def gone(self) -> int:
        """How many backups between the chain's full and this one are not on the storage any more."""
        return max(0, self.opened.manifest.sequence + 1 - self.listed)


def choose(storage: Storage, order: RestoreOrder, seconds: float = SECONDS) -> Chosen:
    """Find the newest backup at or before the date asked for that opens with the key given and no other.

    ``seconds``: how long manifests that do not open are tried.  An older backup never stands in for a newer
    one that does not open.  Raises NoSuchEntityError (naming the oldest), DecryptionKeyError,
    DecryptionKeyMissingError, CorruptedBackupError, and what the storage raises.
    """
    options = order.options
    manifests = list_manifests(storage, options.hostname, options.backup_name)
    mark = _own_mark(order)
    known = mark.found_in(manifests.whole)
    ring = KeyRing(options.encryption_key)
    trial = Trial(storage, ring, manifests, own=known.path if known else "", seconds=seconds)
    missing = mark.missing_from(manifests, options.hostname)
    try:
        candidates = at_or_before(manifests, options.restore_date)
    except NoSuchEntityError as error:
        raise NoSuchEntityError(error.message + sentence(missing)) from None
    tried, newer = newest_that_opens(trial, candidates)
    if newer.failed or newer.untried or tried.opened is None:
        raise refusal(newer, tried.opened, key_fits=ring.fits, also=missing)
    entry = tried.opened.entry
    warnings = (
        _passed_over(manifests, entry, order),
        _beside(tried),
        _unproven(manifests, entry),
        missing,
    )
    listed = sum(1 for other in manifests.whole if other.chain == entry.chain and other.date <= entry.date)
    own = _is_own_host(order) and bool(order.instance_id) and entry.instance == order.instance_id
    raises = entry.path if own and entry.encrypted and mark.raised_by(entry, manifests) else ""
    return Chosen(tried.opened, listed, tuple(filter(None, warnings)), raises)


def _own_mark(order: RestoreOrder) -> HighWater:
    """Return this agent's mark, which tells nothing of other hosts' backups."""
    return HighWater(order.high_water if _is_own_host(order) else "")


def _is_own_host(order: RestoreOrder) -> bool:
    """Return whether the backups are of this host's present name: the mark is of no other."""
    return order.options.hostname.lower() == order.host_name.lower()


def _passed_over(manifests: Manifests, entry: CatalogEntry, order: RestoreOrder) -> str:
    """Return what is said of newer backups that this release cannot read."""
    unreadable = (other for other in manifests.whole if not other.readable)
    newer = [other for other in unreadable if entry.date < other.date <= order.options.restore_date]
    if not newer:
        return ""
    first = newer[-FIRST_TOLD:][::-1]
    named = ", ".join(f"{CATALOG}{one.path} of {one.date:%Y-%m-%d %H:%M:%S} UTC" for one in first)
    more = len(newer) - len(first)
    return (
        "newer backups of a format that this release cannot read were passed over: "
        f"{named}{f', and {more:,} more' if more else ''}"
    )


def _beside(tried: Tried) -> str:
    """Return what is said of manifests of the same second that are no backups for this key."""
    if not tried.failed and not tried.untried:
        return ""
    return (
        f"other manifests of the same second do not open: {tried.told}.{tried.untried_told} "
        "Somebody may have put them there to hide the backup"
    )


def _unproven(manifests: Manifests, entry: CatalogEntry) -> str:
    """Return what is said of a backup without encryption among encrypted ones."""
    if entry.encrypted or not any(other.encrypted for other in manifests.whole):
        return ""
    return (
        f"{CATALOG}{entry.path} is not encrypted, while other backups of this name are: "
        "nothing proves who wrote it"
    )


@dataclass(frozen=True, slots=True)
class VolumeCheck:
    """What the listing says about the volumes: object name to what is wrong with it."""

    wrong: dict[str, str]
    missing: frozenset[str]


def check_volumes(storage: Storage, opened: OpenedBackup, index: Index) -> VolumeCheck:
    """Compare the backup's volume table with a listing of its chain.

    A damaged page of the table is one of the things that are wrong; what the other pages name is
    checked all the same.  Raises what the storage raises.
    """
    needed = set(opened.manifest.volumes)
    wrong: dict[str, str] = {}
    try:
        needed.update(index.volumes())
    except CorruptedBackupError as error:
        wrong[error.object_name] = error.message.removeprefix(error.object_name).strip(" .")
    found = missing_volumes(storage, opened, needed)
    wrong.update(found)
    return VolumeCheck(wrong, frozenset(name for name, what in found if what == "is missing"))
