# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What connecting to a storage looks like from outside, whatever the transport."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from papi_backup.engine.storage.protocol import Storage
from papi_backup.model.errors import InvalidStorageError, TransferError

Entering = Callable[[str], None]
"""Is told the name of the next step ("login", and "rename" where a storage has that) when it begins."""


def untold(step: str) -> None:
    """Listen to no steps."""
    del step


class UnreachableError(InvalidStorageError):
    """Nobody answers at the address; a running transfer may wait for the server to come back."""


class TransientError(TransferError):
    """A transfer broke for a reason that may pass: the same operation may succeed when repeated."""


class Connectable(Storage, Protocol):
    """A storage that is made first and connected then."""

    @property
    def host_key(self) -> str:
        """The key an SSH server showed, ``<type> <base64>``; empty before, and for other storages."""

    def room(self) -> int | None:
        """Return how many bytes are free there for this user; None where the storage cannot be asked.

        Raises what ``stat`` raises.
        """

    def open(self, entering: Entering = untold) -> None:
        """Connect and log in; ``entering`` is told "login" once the server is reached.

        It is also told "rename" each time an object that was written is about to get its name.

        Raises :class:`InvalidStorageError` (4001), :class:`StorageCredentialsError` (4000) or
        :class:`TransientError`.
        """
