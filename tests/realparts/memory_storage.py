# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A storage on an SFTP server that is in memory."""

from __future__ import annotations

from dataclasses import dataclass

from papi_backup.engine.storage.backoff import RetryPolicy
from papi_backup.engine.storage.connecting import Entering, UnreachableError
from papi_backup.engine.storage.protocol import Storage
from papi_backup.engine.storage.retrying import RetryingStorage
from papi_backup.engine.storage.sftp import SftpStorage
from papi_backup.engine.storage.sftp_session import SftpSession
from papi_backup.engine.storage.ssh_connect import SshTimeouts
from papi_backup.model.storage import SshStorage, StorageAccess
from realparts.memory_sftp import MemorySftp

PATIENCE = RetryPolicy(attempts=4, first_delay=0.0)


@dataclass
class Connected:
    session: SftpSession
    host_key: str = "ssh-ed25519 AAAA"

    def close(self) -> None:
        """Nothing to end."""


def storage_on(server: MemorySftp, refusals: int = 0, base: str = "/srv/base") -> Storage:
    """Connect to ``server``; the first ``refusals`` attempts to connect again find nobody there."""
    entry = SshStorage("s", "memory", 22, "u", 1, base)
    connections: list[int] = []

    def connect(access: StorageAccess, timeouts: SshTimeouts, entering: Entering) -> Connected:
        del access, timeouts, entering  # memory lets everybody in
        connections.append(1)
        if 1 < len(connections) <= 1 + refusals:
            raise UnreachableError("memory cannot be reached: Connection refused")
        return Connected(SftpSession(server.channel(), ()))

    storage = RetryingStorage(SftpStorage(StorageAccess(entry), retry=PATIENCE, connector=connect), PATIENCE)
    storage.open()
    return storage
