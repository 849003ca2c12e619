# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An SSH server's directory as a storage, over SFTP.

``storage_base`` must exist; only its last component is made by the first write, if the directory
above it exists and is not the root directory.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from papi_backup.engine.storage.ahead import Later, Pending
from papi_backup.engine.storage.backoff import RetryPolicy
from papi_backup.engine.storage.bounds import ListingBound
from papi_backup.engine.storage.connecting import Entering, untold
from papi_backup.engine.storage.names import TEMPORARY, checked_name, checked_prefix
from papi_backup.engine.storage.protocol import ObjectInfo, ObjectMissingError, holds_object
from papi_backup.engine.storage.sftp_directories import remove_empty, require_base
from papi_backup.engine.storage.sftp_link import Connector, SftpLink
from papi_backup.engine.storage.sftp_listing import DirectoryReader, Entries, read_directory
from papi_backup.engine.storage.sftp_reader import ReadAhead, read_range
from papi_backup.engine.storage.sftp_session import SftpSession
from papi_backup.engine.storage.sftp_wire import (
    Attributes,
    ConnectionLostError,
    Reader,
    SftpStatusError,
    Status,
)
from papi_backup.engine.storage.sftp_writer import SftpWriter
from papi_backup.engine.storage.ssh_connect import SshTimeouts, connect
from papi_backup.model.errors import PapiError, TransferError
from papi_backup.model.storage import StorageAccess

T = TypeVar("T")
_DELETES_IN_FLIGHT = 64


class SftpStorage:
    """Implements ``connecting.Connectable`` on one connection.

    When it breaks, the operation raises ``TransientError`` and the next one connects again; only
    writers resume by themselves, as ``retry`` says.
    """

    def __init__(
        self,
        access: StorageAccess,
        timeouts: SshTimeouts = SshTimeouts(),  # noqa: B008 -- frozen
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 -- frozen
        connector: Connector = connect,
    ) -> None:
        self._link = SftpLink(access, timeouts, connector)
        self._retry = retry
        self._entering: Entering = untold
        self._reads: ReadAhead | None = None

    @property
    def host_key(self) -> str:
        """See ``connecting.Connectable.host_key``."""
        return self._link.host_key

    def open(self, entering: Entering = untold) -> None:
        """See ``connecting.Connectable.open``."""
        self._entering = entering
        self._link.open(entering)

    def room(self) -> int | None:
        """See ``connecting.Connectable.room``: OpenSSH can be asked."""
        doing = f"asking {self._link.server} for the room below {self._link.base}"

        def ask(session: SftpSession) -> int | None:
            try:
                space = session.space(self._link.path(""))
            except SftpStatusError as error:
                raise self._link.refusal(error, doing) from error
            return None if space is None else space.available

        return self._link.run(ask, doing)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See ``protocol.Storage.list``."""
        doing = f"listing {prefix or self._link.base} on {self._link.server}"
        session = self._link.run(lambda session: session, doing)
        reader = DirectoryReader(session, ListingBound(doing))
        reader.want(checked_prefix(prefix), self._link.path(prefix.rstrip("/")))
        results = reader.results()
        while (result := self._link.run(lambda _session: next(results, None), doing)) is not None:
            directory, entries = result
            if isinstance(entries, SftpStatusError):
                self._link.run(functools.partial(self._require_missing, entries, doing), doing)
                continue
            for name, attributes in self._named(directory, entries):
                if attributes.is_directory:
                    reader.want(f"{name}/", self._link.path(name))
                elif attributes.is_regular:
                    yield self._info(name, attributes)

    def list_children(self, prefix: str) -> Sequence[str]:
        """See ``protocol.Storage.list_children``."""
        found = self._entries(checked_prefix(prefix))
        directories = [name for name, attributes in found if attributes.is_directory]
        return sorted(name.rpartition("/")[2] for name in directories if holds_object(self, f"{name}/"))

    def unfinished(self) -> Sequence[ObjectInfo]:
        """See ``unfinished.ShowsUnfinished``."""
        found = self._entries(f"{TEMPORARY}/")
        return [self._info(name, attributes) for name, attributes in found if not attributes.is_directory]

    def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """See ``protocol.Storage.get``."""
        path = self._link.path(checked_name(name))
        return self._lookup(name, lambda session: read_range(session, path, offset, length))

    def begin_get(self, name: str, offset: int, length: int) -> Pending:
        """See ``ahead.ReadsAhead``."""
        if length <= 0:
            return Later(lambda: self.get(name, offset, length))
        try:
            session = self._link.session()
            if self._reads is None or self._reads.session is not session:
                self._reads = ReadAhead(session)
            begun = self._reads.begin(self._link.path(checked_name(name)), offset, offset + length)
        except (ConnectionLostError, PapiError):
            return Later(lambda: self.get(name, offset, length))  # which tells what is wrong
        return Later(lambda: self._lookup(name, lambda _session: begun.result()))

    def stat(self, name: str) -> ObjectInfo:
        """See ``protocol.Storage.stat``."""
        path = self._link.path(checked_name(name))
        attributes = self._lookup(name, lambda session: session.stat(path))
        if not attributes.is_regular:
            raise ObjectMissingError(name)
        return self._info(name, attributes)

    def create(self, name: str, size_hint: int = 0) -> SftpWriter:
        """See ``protocol.Storage.create``; ``size_hint`` is of no use here."""
        del size_hint
        return SftpWriter(self._link, checked_name(name), self._retry, self._entering)

    def delete(self, names: Sequence[str]) -> None:
        """See ``protocol.Storage.delete``."""
        for name in names:
            checked_name(name)

        def delete_all(session: SftpSession) -> None:
            self._link.made.clear()
            self._remove(session, names)
            remove_empty(self._link, session, names)

        self._link.run(delete_all, f"deleting from {self._link.server}")

    def close(self) -> None:
        """See ``protocol.Storage.close``."""
        self._link.drop()

    def _entries(self, prefix: str) -> Iterable[tuple[str, Attributes]]:
        """Return (name, attributes) of everything directly below ``prefix``; nothing if it is missing."""
        doing = f"listing {prefix or self._link.base} on {self._link.server}"
        bound = ListingBound(doing)

        def read(session: SftpSession) -> Entries:
            try:
                return read_directory(session, self._link.path(prefix.rstrip("/")), bound)
            except SftpStatusError as error:
                self._require_missing(error, doing, session)
                return ()

        return self._named(prefix, self._link.run(read, doing))

    def _require_missing(self, refusal: SftpStatusError, doing: str, session: SftpSession) -> None:
        """Raise what a refusal to list means, unless it is that there is no such directory (yet)."""
        if refusal.code != Status.NO_SUCH_FILE:
            raise self._link.refusal(refusal, doing) from refusal
        require_base(self._link, session)

    def _named(self, directory: str, entries: Entries) -> Iterator[tuple[str, Attributes]]:
        """Yield whole names; attributes are asked for where the server's listing does not tell a kind."""
        for name, attributes in entries:
            if not directory and name == TEMPORARY:
                continue
            whole = f"{directory}{name}"
            if attributes.mode is None:
                path = self._link.path(whole)
                yield (
                    whole,
                    self._link.run(functools.partial(SftpSession.stat, path=path), f"listing {whole}"),
                )
            else:
                yield whole, attributes

    def _lookup(self, name: str, operation: Callable[[SftpSession], T]) -> T:
        """Return ``operation(session)``; raises ``ObjectMissingError`` when there is no such object."""
        doing = f"reading {name} from {self._link.server}"

        def look(session: SftpSession) -> T:
            try:
                return operation(session)
            except SftpStatusError as error:
                if error.code == Status.NO_SUCH_FILE or self._is_directory(session, name):
                    raise ObjectMissingError(name) from error
                raise self._link.refusal(error, doing) from error

        return self._link.run(look, doing)

    def _is_directory(self, session: SftpSession, name: str) -> bool:
        try:
            return session.stat(self._link.path(name)).is_directory
        except SftpStatusError:
            return False

    def _info(self, name: str, attributes: Attributes) -> ObjectInfo:
        if attributes.size is None:
            raise TransferError(f"{self._link.server} does not tell the size of {name}")
        return ObjectInfo(name, attributes.size, float(attributes.modified or 0))

    def _remove(self, session: SftpSession, names: Sequence[str]) -> None:
        """Remove files, many requests in flight; one that is gone is no error."""
        waiting: set[str] = set()
        refused: dict[str, SftpStatusError] = {}

        def ask(name: str) -> None:
            def on_status(kind: int, body: Reader) -> None:
                del kind  # only STATUS answers a REMOVE
                waiting.discard(name)
                status = body.status()
                if status.code not in {Status.OK, Status.NO_SUCH_FILE}:
                    refused[name] = status

            waiting.add(name)
            session.send_remove(self._link.path(name), on_status)

        for name in dict.fromkeys(names):
            ask(name)
            while len(waiting) >= _DELETES_IN_FLIGHT:
                session.wait_for_answer()
        while waiting:
            session.wait_for_answer()
        for name, status in refused.items():
            raise self._link.refusal(status, f"deleting {name}") from status
