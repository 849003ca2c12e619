# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chooses the backup that an incremental extends, or says why a new chain starts (design section 4)."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from papi_backup.engine.crypto import chain_key_check
from papi_backup.engine.format.pages import Volume
from papi_backup.engine.opened import (
    OpenedBackup,
    PageReader,
    SegmentCache,
    listed_sizes,
    open_backup,
    wrong_volumes,
)
from papi_backup.engine.storage.protocol import Storage
from papi_backup.model.catalog import CatalogEntry
from papi_backup.model.errors import CorruptedBackupError, DecryptionKeyError
from papi_backup.model.job import BackupOrder
from papi_backup.model.secret import Secret

LONGEST_CHAIN = 200
"""Incrementals of one chain."""
BELIEVABLE = timedelta(hours=24)
"""A name dated further ahead does not raise the next date (a storage's owner could forge it)."""
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


def next_date(entries: Sequence[CatalogEntry], now: datetime) -> datetime:
    """Return the new backup's date: now in whole seconds, later than every believable one."""
    date = now.replace(microsecond=0)
    believable = [entry.date for entry in entries if entry.date <= now + BELIEVABLE]
    if believable and max(believable) >= date:
        return max(believable) + timedelta(seconds=1)
    return date


def known_keys(order: BackupOrder) -> dict[str, Secret]:
    """Return the cached chain keys that this order's encryption key is known to open."""
    known = {}
    for chain, cached in order.known_chain_keys:
        text, _colon, check = cached.reveal().partition(":")
        if hmac.compare_digest(chain_key_check(bytes.fromhex(text), order.encryption_key), check):
            known[chain] = Secret(text)
    return known


def choose_parent(
    storage: Storage,
    order: BackupOrder,
    entries: Sequence[CatalogEntry],
    now: datetime,
    cache: SegmentCache | None,
    *,
    damage: str = "",
) -> Choice:
    """Return the parent for an incremental; raises only what the storage raises.

    ``damage`` tells what was found wrong with the parent when it was used before.
    """
    choice = Choice()
    own = [entry for entry in entries if entry.instance == order.instance_id]
    _warn_of_others(choice, order, entries)
    _warn_of_loss(choice, order, own)
    ahead = _ahead_of(now, choice, own)
    if order.backup_type == "full":
        return choice
    if damage:
        _give_up(choice, damage)
        return choice
    believable = [entry for entry in own if entry not in ahead]
    if not believable:
        choice.reason = _AHEAD if ahead else "there is no backup of this agent yet"
        return choice
    newest = max(believable, key=lambda entry: (entry.date, entry.backup))
    if any(entry.chain == newest.chain or entry.backup == order.high_water for entry in ahead):
        choice.reason = _AHEAD
    choice.reason = choice.reason or _unfit(newest, order)
    if choice.reason:
        return choice
    try:
        opened = open_backup(storage, newest, order.encryption_key, known_keys(order))
        choice.reason = _unfit_chain(opened, order)
        if not choice.reason:
            volumes = set(PageReader(storage, opened, cache).volumes())
            listed = listed_sizes(storage, opened)
            wrong = wrong_volumes(listed, opened, volumes)
            if wrong:
                name, problem = wrong[0]
                choice.reason = f"{len(wrong)} volumes of the chain are damaged: {name} {problem}"
            else:
                choice.parent = Parent(opened, _sizes(volumes), listed)
    except DecryptionKeyError:
        choice.reason = "the encryption key has changed"
    except CorruptedBackupError as error:
        _give_up(choice, error.message)
    return choice


def _give_up(choice: Choice, damage: str) -> None:
    choice.reason = f"the previous backup cannot be used: {damage.rstrip('.')}"
    choice.warnings.append(damage)


def _sizes(volumes: set[Volume]) -> dict[tuple[str, str, int], int]:
    return {(volume.backup, volume.kind, volume.number): volume.size for volume in volumes}


def _warn_of_others(choice: Choice, order: BackupOrder, entries: Sequence[CatalogEntry]) -> None:
    others = sorted({entry.instance for entry in entries} - {order.instance_id})
    if others:
        choice.warnings.append(
            f"other installations ({', '.join(others)}) also write backups of host {order.host_name} "
            f"under this name; this one is {order.instance_id}. Give each host a host_name of its own."
        )


def _warn_of_loss(choice: Choice, order: BackupOrder, own: Sequence[CatalogEntry]) -> None:
    if order.high_water and order.high_water not in {entry.backup for entry in own}:
        choice.warnings.append(
            f"the newest backup that this agent wrote ({order.high_water}) is no longer on the storage: "
            "it was deleted, or an older state of the storage was put back"
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
