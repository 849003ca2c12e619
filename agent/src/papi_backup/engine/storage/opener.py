# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a storage entry to a connected storage.

paramiko and boto3 take a third of a second each to import, so they are imported by processes that
connect, and only the one that is needed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from papi_backup.engine.storage.backoff import ONCE, RetryPolicy
from papi_backup.engine.storage.connecting import Connectable
from papi_backup.engine.storage.protocol import Storage, StorageOpener
from papi_backup.engine.storage.retrying import RetryingStorage
from papi_backup.engine.storage.throttled import Buckets, ThrottledStorage
from papi_backup.model.limits import UNLIMITED, Limits
from papi_backup.model.storage import S3Storage, SshStorage, StorageAccess


@dataclass(frozen=True, slots=True)
class _Opener:
    """Implements ``protocol.StorageOpener``; holds no connection, so it may cross a fork."""

    access: StorageAccess
    buckets: Buckets | None = None

    def __call__(self) -> Storage:
        storage = patient(self.access, buckets=self.buckets)
        storage.open()
        return storage


def opener_for(access: StorageAccess, limits: Limits = UNLIMITED) -> StorageOpener:
    """Return what opens connections to ``access``; all of them together keep to ``limits``.

    What speaks to the storage is imported at once: processes that are forked later share it.
    Calling it raises :class:`StorageCredentialsError` (4000) or :class:`InvalidStorageError` (4001).
    """
    _transport(access, RetryPolicy())
    return _Opener(access, Buckets.of(limits) if limits.may_slow_transfers else None)


def acquainted(access: StorageAccess) -> StorageAccess:
    """Return ``access`` with the host key of its server; where none is known, the one that is shown now.

    Who opens several connections has all of them compare, by one connection more.  Raises as an opener does.
    """
    storage = access.storage
    if not isinstance(storage, SshStorage) or storage.host_key:
        return access
    contact = patient(access)
    try:
        contact.open()
        return replace(access, storage=replace(storage, host_key=contact.host_key))
    finally:
        contact.close()


def patient(
    access: StorageAccess,
    retry: RetryPolicy = RetryPolicy(),  # noqa: B008 -- frozen
    buckets: Buckets | None = None,
) -> Connectable:
    """Return the storage of ``access`` for a job: not connected, with retries and long timeouts."""
    transport = _transport(access, retry)
    # Below the retries, so that what is sent or fetched again is counted again.
    return RetryingStorage(transport if buckets is None else ThrottledStorage(transport, buckets), retry)


def _transport(access: StorageAccess, retry: RetryPolicy) -> Connectable:
    if isinstance(access.storage, S3Storage):
        from papi_backup.engine.storage.s3 import S3ObjectStorage  # noqa: PLC0415 -- late on purpose

        return S3ObjectStorage(access.storage, retry=retry)
    from papi_backup.engine.storage.sftp import SftpStorage  # noqa: PLC0415 -- late on purpose

    return SftpStorage(access, retry=retry)


def hasty(access: StorageAccess, seconds: float) -> Connectable:
    """Return the same for a test: everything is tried once and waited for at most ``seconds``."""
    if isinstance(access.storage, S3Storage):
        from papi_backup.engine.storage.s3 import S3ObjectStorage  # noqa: PLC0415 -- late on purpose
        from papi_backup.engine.storage.s3_answers import S3Timeouts  # noqa: PLC0415 -- late on purpose

        return S3ObjectStorage(access.storage, S3Timeouts(seconds, seconds, 1, seconds), ONCE)
    from papi_backup.engine.storage.sftp import SftpStorage  # noqa: PLC0415 -- late on purpose
    from papi_backup.engine.storage.ssh_connect import SshTimeouts  # noqa: PLC0415 -- late on purpose

    return SftpStorage(access, SshTimeouts(seconds, seconds, seconds, seconds), ONCE)
