# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories on an SFTP server, made when they turn out to be missing, removed when empty."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from papi_backup.engine.storage.names import ancestors
from papi_backup.engine.storage.sftp_link import SftpLink
from papi_backup.engine.storage.sftp_session import SftpSession
from papi_backup.engine.storage.sftp_wire import SftpStatusError, Status
from papi_backup.model.errors import InvalidStorageError

_MAKES = 5


def make_directory(link: SftpLink, session: SftpSession, name: str) -> None:
    """Make the directory ``name`` below the base, and what is missing above it.

    The base itself is made only if its parent exists and is not the root directory: a typing
    mistake or a disk that is not mounted must not become a storage.  Raises
    :class:`InvalidStorageError` naming the base or the directory, and ``SftpStatusError`` if what
    was just made has been removed again: another's deletion found it empty.
    """
    if not name:
        require_base(link, session)
    try:
        _make_one(link, session, name)
    except SftpStatusError as error:
        if error.code != Status.NO_SUCH_FILE or not name:
            told = link.refusal(error, f"making the directory {link.path(name).decode()}", session)
            raise InvalidStorageError(told.message) from error
        make_directory(link, session, posixpath.dirname(name))
        _make_one(link, session, name)


def require_base(link: SftpLink, session: SftpSession) -> None:
    """Raise :class:`InvalidStorageError` unless the base is a directory or may become one."""
    if not _is_directory(session, link.path("")) and not _may_be_made(link, session):
        raise missing_base(link)


def remove_empty(link: SftpLink, session: SftpSession, names: Iterable[str]) -> None:
    """Remove the directories above ``names`` that are empty; one that is not stays, without a word."""
    kept: set[str] = set()
    for directory in sorted({above for name in names for above in ancestors(name)}, key=len, reverse=True):
        if directory in kept:
            continue
        try:
            session.remove_directory(link.path(directory))
        except SftpStatusError as error:
            if error.code != Status.NO_SUCH_FILE:
                kept.update(ancestors(directory))


def missing_base(link: SftpLink) -> InvalidStorageError:
    """Return the error for a storage whose directory is not there."""
    return InvalidStorageError(f"storage_base {link.base} does not exist on {link.server}")


def _make_one(link: SftpLink, session: SftpSession, name: str) -> None:
    """Make one directory; one that exists is no error.

    A server says only "failure" for one that exists; if it is gone when we look, another's deletion
    found it empty in between, and making it is tried again.
    """
    for attempts_left in reversed(range(_MAKES)):
        try:
            session.make_directory(link.path(name))
            return
        except SftpStatusError as error:
            if error.code == Status.NO_SUCH_FILE:
                raise
            if _is_directory(session, link.path(name)):
                return
            if error.code != Status.FAILURE or not attempts_left:
                raise


def _is_directory(session: SftpSession, path: bytes) -> bool:
    try:
        return session.stat_target(path).is_directory
    except SftpStatusError:
        return False


def _may_be_made(link: SftpLink, session: SftpSession) -> bool:
    parent = posixpath.dirname(link.base)
    return parent != "/" and _is_directory(session, (parent or ".").encode())
