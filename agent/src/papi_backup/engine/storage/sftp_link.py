# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The link to one SFTP server: connects, connects again, and says what a refusal means."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from typing import Protocol, TypeVar

from papi_backup.engine.storage.connecting import Entering, TransientError, untold
from papi_backup.engine.storage.sftp_session import SftpSession
from papi_backup.engine.storage.sftp_wire import ConnectionLostError, SftpStatusError, Status
from papi_backup.engine.storage.ssh_connect import SshTimeouts, connect
from papi_backup.model.errors import InvalidStorageError, PapiError, TransferError
from papi_backup.model.storage import SshStorage, StorageAccess

T = TypeVar("T")
_ROOM_TO_WRITE = 1 << 20
"""A file system with less room than this, in bytes, is full for us."""


class Connection(Protocol):
    """A connection that is logged in, with a session on it (``ssh_connect.SshConnection``)."""

    @property
    def session(self) -> SftpSession:
        """The SFTP session."""

    @property
    def host_key(self) -> str:
        """The key the server showed."""

    def close(self) -> None:
        """End the connection; never raises."""


Connector = Callable[[StorageAccess, SshTimeouts, Entering], Connection]
"""Connects and logs in; raises what ``ssh_connect.connect`` raises."""


class SftpLink:
    """Keeps one session to the storage of ``access``; ``base`` is its directory."""

    def __init__(self, access: StorageAccess, timeouts: SshTimeouts, connector: Connector = connect) -> None:
        if not isinstance(access.storage, SshStorage):
            raise TypeError("not an SSH storage")
        self._access = access
        self._timeouts = timeouts
        self._connector = connector
        self._connection: Connection | None = None
        self.base = posixpath.normpath(access.storage.storage_base or ".")
        self.server = f"{access.storage.server_name}:{access.storage.ssh_port}"
        self.host_key = ""
        self.made: set[str] = set()
        """Directories that were seen to be there; they may be gone again."""

    def open(self, entering: Entering = untold) -> None:
        """Connect; ``entering`` is told "login" when the server is reached.

        Raises :class:`InvalidStorageError`, :class:`StorageCredentialsError`, :class:`TransientError`.
        """
        try:
            self._connect(entering)
        except ConnectionLostError as error:
            raise TransientError(f"{self.server} broke the connection off: {error}") from error

    def session(self) -> SftpSession:
        """Return a live session, connecting if need be; raises :class:`ConnectionLostError` too."""
        if self._connection is None or self._connection.session.is_broken:
            self.drop()
            return self._connect()
        return self._connection.session

    def live_session(self) -> SftpSession | None:
        """Return the session if there is one that is not known to be broken."""
        if self._connection is None or self._connection.session.is_broken:
            return None
        return self._connection.session

    def run(self, operation: Callable[[SftpSession], T], doing: str) -> T:
        """Return ``operation(session)``.

        Raises :class:`TransientError` naming ``doing`` when the connection breaks; what the
        operation raises otherwise passes through.
        """
        try:
            return operation(self.session())
        except ConnectionLostError as error:
            raise TransientError(f"{doing}: connection lost: {error}") from error

    def path(self, name: str) -> bytes:
        """Return the server's path of the object ``name`` (of the base itself when empty)."""
        return (posixpath.join(self.base, name) if name else self.base).encode("utf-8", "surrogateescape")

    def drop(self) -> None:
        """End the connection; never raises."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def refusal(self, error: SftpStatusError, doing: str, session: SftpSession | None = None) -> PapiError:
        """Say what a refusal means: 4001 for a full disk or a place that may not be used, else 4005.

        ``session`` is given where something was written: it is asked whether the disk is full.
        """
        if error.code == Status.FAILURE and session is not None:
            if self._is_full(session):
                return InvalidStorageError(f"disk full on {self.server}: {doing}")
            return TransferError(f"{self.server}: {doing}: {error}; the disk or a quota may be full")
        if error.code in {Status.PERMISSION_DENIED, Status.NO_SUCH_FILE, Status.OP_UNSUPPORTED}:
            return InvalidStorageError(f"{self.server}: {doing}: {error}")
        return TransferError(f"{self.server}: {doing}: {error}")

    def _is_full(self, session: SftpSession) -> bool:
        """Ask for the file system's room: SFTP itself has no status for a full disk."""
        try:
            space = session.space(self.path(""))
        except SftpStatusError:
            return False
        return space is not None and space.available < _ROOM_TO_WRITE

    def _connect(self, entering: Entering = untold) -> SftpSession:
        self._connection = self._connector(self._access, self._timeouts, entering)
        self.host_key = self._connection.host_key
        return self._connection.session
