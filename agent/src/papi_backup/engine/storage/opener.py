# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a storage entry to a connected storage.

paramiko and boto3 take a third of a second each to import, so they are imported by the process
that connects, when it connects.
"""

from __future__ import annotations

from dataclasses import dataclass

from papi_backup.engine.storage.backoff import ONCE, RetryPolicy
from papi_backup.engine.storage.connecting import Connectable
from papi_backup.engine.storage.protocol import Storage, StorageOpener
from papi_backup.engine.storage.retrying import RetryingStorage
from papi_backup.model.storage import S3Storage, StorageAccess


@dataclass(frozen=True, slots=True)
class _Opener:
    """Implements ``protocol.StorageOpener``; holds no connection, so it may cross a fork."""

    access: StorageAccess

    def __call__(self) -> Storage:
        storage = patient(self.access)
        storage.open()
        return storage


def opener_for(access: StorageAccess) -> StorageOpener:
    """Return what opens connections to ``access``.

    Calling it raises :class:`StorageCredentialsError` (4000) or :class:`InvalidStorageError` (4001).
    """
    return _Opener(access)


def patient(access: StorageAccess, retry: RetryPolicy = RetryPolicy()) -> Connectable:  # noqa: B008 -- frozen
    """Return the storage of ``access`` for a job: not connected, with retries and long timeouts."""
    if isinstance(access.storage, S3Storage):
        from papi_backup.engine.storage.s3 import S3ObjectStorage  # noqa: PLC0415 -- late on purpose

        return RetryingStorage(S3ObjectStorage(access.storage, retry=retry), retry)
    from papi_backup.engine.storage.sftp import SftpStorage  # noqa: PLC0415 -- late on purpose

    return RetryingStorage(SftpStorage(access, retry=retry), retry)


def hasty(access: StorageAccess, seconds: float) -> Connectable:
    """Return the same for a test: everything is tried once and waited for at most ``seconds``."""
    if isinstance(access.storage, S3Storage):
        from papi_backup.engine.storage.s3 import S3ObjectStorage  # noqa: PLC0415 -- late on purpose
        from papi_backup.engine.storage.s3_place import S3Timeouts  # noqa: PLC0415 -- late on purpose

        return S3ObjectStorage(access.storage, S3Timeouts(seconds, seconds, tries=1), ONCE)
    from papi_backup.engine.storage.sftp import SftpStorage  # noqa: PLC0415 -- late on purpose
    from papi_backup.engine.storage.ssh_connect import SshTimeouts  # noqa: PLC0415 -- late on purpose

    return SftpStorage(access, SshTimeouts(seconds, seconds, seconds, seconds), ONCE)
