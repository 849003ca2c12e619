# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One row of the endpoint table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from papi_backup.api.call import Handler
from papi_backup.api.parameters import Parameter
from papi_backup.api.results import SUCCESS
from papi_backup.api.shapes import Field, Shape
from papi_backup.model.errors import (
    AuthenticationError,
    CorruptedBackupError,
    DecryptionKeyError,
    DecryptionKeyMissingError,
    InternalError,
    InvalidParameterError,
    InvalidStorageError,
    PapiError,
    PermissionDeniedError,
    StorageCredentialsError,
    TooManyRequestsError,
    TransferError,
)

Method = Literal["GET", "POST"]
READ: tuple[Method, ...] = ("GET", "POST")
CHANGE: tuple[Method, ...] = ("POST",)

AsksStorages = Literal["", "test", "list", "dry_run"]
"""Never; within the deadline of a test; for as long as a storage takes; so with ``dry_run`` alone."""

EVERYWHERE: tuple[type[PapiError], ...] = (
    # Every method takes credentials or a cookie, and every method's body may be malformed.
    PermissionDeniedError,
    AuthenticationError,
    InvalidParameterError,
    TooManyRequestsError,
    InternalError,
)
OF_STORAGES: tuple[type[PapiError], ...] = (
    StorageCredentialsError,
    InvalidStorageError,
    DecryptionKeyError,
    DecryptionKeyMissingError,
    CorruptedBackupError,
    TransferError,
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method.

    ``access``: open to everybody, to every account, or to administrators only.
    ``asks_storages``: whether and how long it may wait for a storage.
    ``result`` is the shape of ``data``, ``plan`` the one with ``dry_run=1``, ``beside`` what stands next to
    ``data``; ``failures`` are the errors that are this method's own.
    ``bare``: the answer has no envelope, and the path no other extension.
    """

    path: str
    name: str
    http_methods: tuple[Method, ...]
    handler: Handler
    summary: str
    parameters: tuple[Parameter, ...] = ()
    access: Literal["open", "account", "administrator"] = "account"
    asks_storages: AsksStorages = ""
    result: Shape = SUCCESS
    plan: Shape | None = None
    beside: tuple[Field, ...] = ()
    failures: tuple[type[PapiError], ...] = ()
    bare: bool = False

    @property
    def errors(self) -> tuple[type[PapiError], ...]:
        """All errors it answers, in the order of their codes."""
        storages = OF_STORAGES if self.asks_storages else ()
        return tuple(sorted({*EVERYWHERE, *storages, *self.failures}, key=lambda error: error.code))
