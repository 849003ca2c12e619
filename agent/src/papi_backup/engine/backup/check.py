# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests a backup configuration by what its next backup needs (docs/api.md, "test_backup_config").

sources, then the steps of the storage (``engine.storage.check``) with room for another backup like the
last ones, then key: whether it opens the newest backup that an incremental would extend.
"""

from __future__ import annotations

from datetime import UTC, datetime

from papi_backup.engine.authentic import Unopened
from papi_backup.engine.backup.parent import BELIEVABLE, Earlier, passed_over_told
from papi_backup.engine.backup.sources import check_sources
from papi_backup.engine.catalog import list_manifests
from papi_backup.engine.storage.check import DEADLINE_SECONDS, LEAST_ROOM, check_storage
from papi_backup.engine.storage.protocol import Storage
from papi_backup.model.check import StorageCheck
from papi_backup.model.errors import DecryptionKeyError, DecryptionKeyMissingError
from papi_backup.model.job import BackupOrder
from papi_backup.model.keys import remark_on

_KEY_SECONDS = 1.0
"""How long manifests are tried: a test has few seconds in all."""


def check_backup(order: BackupOrder, room: int, deadline_seconds: float = DEADLINE_SECONDS) -> StorageCheck:
    """Return the steps that passed; ``room``: bytes that the next backup is expected to need.

    Raises :class:`InvalidParameterError` for sources, :class:`DecryptionKeyError` (4002) and
    :class:`DecryptionKeyMissingError` (4003) for a key that is not the chain's,
    :class:`CorruptedBackupError` (4004), and what a check of the storage raises; the message begins with
    the step that failed.
    """

    def sources(storage: Storage) -> str:
        del storage
        return check_sources(order.backup_name, order.sources.paths)

    def key(storage: Storage) -> str:
        return _remarked(check_key(storage, order), order)

    return check_storage(
        order.access,
        deadline_seconds,
        before=(("sources", sources),),
        after=(("key", key),),
        room=max(room, LEAST_ROOM),
    )


def check_key(storage: Storage, order: BackupOrder, seconds: float = _KEY_SECONDS) -> str:
    """Try the order's key on the newest backup of this installation; raises as :func:`check_backup` does.

    ``seconds``: how long manifests that do not open are tried.

    A backup would not fail with another key but begin a new chain with it: who mistyped it learns it here.
    """
    latest = datetime.now(UTC) + BELIEVABLE
    manifests = list_manifests(storage, order.host_name, order.backup_name)
    earlier = Earlier(storage, order, manifests, seconds)
    newest, passed_over = earlier.newest(
        [entry for entry in earlier.own if entry.readable and entry.date <= latest]
    )
    if newest is None and not passed_over:
        return "there is no backup of this agent yet"
    newest = newest or passed_over.pop(0)
    if order.encryption_key and not newest.encrypted:
        return "the newest backup is not encrypted; the next one will be, in a new chain"
    told = f"the newest backup of {order.backup_name!r}, of {newest.date:%Y-%m-%d %H:%M:%S} UTC,"
    with_it = "and the next one would begin a new chain"
    tried = earlier.attempt(newest)
    error = tried.error if isinstance(tried, Unopened) else None
    if isinstance(error, DecryptionKeyMissingError):
        raise DecryptionKeyMissingError(
            f"{told} is encrypted, {with_it} without encryption: the configuration has no encryption_key"
        )
    if isinstance(error, DecryptionKeyError):
        raise DecryptionKeyError(f"{told} was encrypted with another encryption_key, {with_it} with this one")
    if error is not None:
        raise error
    return "; ".join(("the newest backup can be opened", *passed_over_told(passed_over)))


def _remarked(detail: str, order: BackupOrder) -> str:
    remark = remark_on(order.encryption_key)
    return f"{detail}; {remark}" if remark else detail
