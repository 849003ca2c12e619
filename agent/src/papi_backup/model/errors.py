# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Typed errors, each carrying its papi code (docs/design.md, "Errors have a cause").

Raise the narrowest class where the cause is known; only the edges (API, job supervisor, CLI) turn
errors into answers.  A programming error is none of these and must never be dressed up as one.
"""

from __future__ import annotations


class PapiError(Exception):
    """An error with a papi code and a message for a person: what failed, on which object, what to do."""

    code: int = 3000
    name: str = "INTERNAL_ERROR"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class PermissionDeniedError(PapiError):
    """The account may not do this."""

    code = 3001
    name = "PERMISSION_DENIED"


class AuthenticationError(PapiError):
    """No valid session, credentials or API key came with the call."""

    code = 3004
    name = "AUTHENTICATION_ERROR"


class InvalidParameterError(PapiError):
    """A parameter is missing, malformed or out of bounds."""

    code = 3005
    name = "INVALID_PARAMETER"

    def __init__(self, message: str, parameter: str = "") -> None:
        super().__init__(message)
        self.parameter = parameter


class NoSuchEntityError(PapiError):
    """A named or numbered thing does not exist."""

    code = 3007
    name = "NO_SUCH_ENTITY"


class NotYetAvailableError(PapiError):
    """The thing exists but is not ready."""

    code = 3013
    name = "NOT_YET_AVAILABLE"


class TooManyRequestsError(PapiError):
    """The caller is being slowed down."""

    code = 3014
    name = "TOO_MANY_REQUESTS"


class InternalError(PapiError):
    """A part of the agent failed; the log has the details."""

    code = 3015
    name = "HOSTED_BACKEND_UNAVAILABLE"


class StorageCredentialsError(PapiError):
    """The storage refused the credentials."""

    code = 4000
    name = "INVALID_CREDENTIAL_STORAGE"


class InvalidStorageError(PapiError):
    """The storage cannot be reached, does not exist or cannot be written."""

    code = 4001
    name = "INVALID_STORAGE"


class DecryptionKeyError(PapiError):
    """The key does not open the backup."""

    code = 4002
    name = "INVALID_DECRYPTION_KEY"


class DecryptionKeyMissingError(PapiError):
    """The backup is encrypted and no key was given."""

    code = 4003
    name = "DECRYPTION_KEY_MISSING"


class CorruptedBackupError(PapiError):
    """An object of the backup is missing, short or altered; ``object_name`` says which."""

    code = 4004
    name = "CORRUPTED_BACKUP"

    def __init__(self, message: str, object_name: str = "") -> None:
        super().__init__(message)
        self.object_name = object_name


class TransferError(PapiError):
    """A transfer was given up after its retries."""

    code = 4005
    name = "TRANSFER_FAILED"


BY_CODE: dict[int, type[PapiError]] = {
    error.code: error
    for error in (
        PermissionDeniedError,
        AuthenticationError,
        InvalidParameterError,
        NoSuchEntityError,
        NotYetAvailableError,
        TooManyRequestsError,
        InternalError,
        StorageCredentialsError,
        InvalidStorageError,
        DecryptionKeyError,
        DecryptionKeyMissingError,
        CorruptedBackupError,
        TransferError,
    )
}
"""Rebuilds an error that crossed a process border as (code, message)."""


def in_words(code: int, message: str) -> str:
    """Return what the description of a job that failed says: a code of this module, and a message."""
    return f"[{code}] {message}"


def from_code(code: int, message: str) -> PapiError:
    """Return the typed error for ``code``; an unknown code gives a plain :class:`PapiError`."""
    return BY_CODE.get(code, PapiError)(message)
