# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads directories of an SFTP server, many at once: a far server's round trips are what listing takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from papi_backup.engine.storage.bounds import ListingBound
from papi_backup.engine.storage.sftp_session import SftpSession
from papi_backup.engine.storage.sftp_wire import Attributes, Packet, Reader, SftpStatusError, Status

_AT_ONCE = 32
"""Directories that are being read; each has a handle, and OpenSSH allows a session at least 100."""
_FIRST_READS, _MOST_READS = 2, 16
"""Requests sent at once: most directories need one for the names and one to be told that that is all."""

Entries = Sequence[tuple[str, Attributes]]


class DirectoryReader:
    """Reads the directories that are asked for; yields each when it is whole."""

    def __init__(self, session: SftpSession, bound: ListingBound) -> None:
        self._session = session
        self._bound = bound
        self._wanted: deque[tuple[str, bytes]] = deque()
        self._reading = 0
        self._whole: deque[tuple[str, Entries | SftpStatusError]] = deque()

    def want(self, name: str, path: bytes) -> None:
        """Read the directory ``path`` as soon as there is room; it will be told with ``name``."""
        self._wanted.append((name, path))

    def results(self) -> Iterator[tuple[str, Entries | SftpStatusError]]:
        """Yield name and entries, or the refusal, of each directory in the order in which they come.

        An error half way is a refusal, never a short list.  More may be wanted meanwhile.  Raises
        :class:`ConnectionLostError`, and :class:`TransferError` where the server sends too much.
        """
        while self._wanted or self._reading or self._whole:
            while self._wanted and self._reading < _AT_ONCE:
                self._reading += 1
                _Reading(self._session, self._bound, *self._wanted.popleft(), self._end).begin()
            if self._whole:
                yield self._whole.popleft()
            elif self._reading:
                self._session.wait_for_answer()

    def _end(self, name: str, result: Entries | SftpStatusError) -> None:
        self._reading -= 1
        self._whole.append((name, result))


def read_directory(session: SftpSession, path: bytes, bound: ListingBound) -> Entries:
    """Return all entries of one directory.

    Raises ``SftpStatusError``, :class:`ConnectionLostError` and :class:`TransferError`.
    """
    reader = DirectoryReader(session, bound)
    reader.want("", path)
    ((_name, result),) = reader.results()
    if isinstance(result, SftpStatusError):
        raise result
    return result


class _Reading:
    """The requests and answers of one directory."""

    def __init__(
        self,
        session: SftpSession,
        bound: ListingBound,
        name: str,
        path: bytes,
        end: Callable[[str, Entries | SftpStatusError], None],
    ) -> None:
        self._session = session
        self._bound = bound
        self._name = name
        self._path = path
        self._end = end
        self._handle = b""
        self._found: list[tuple[str, Attributes]] = []
        self._reads = _FIRST_READS
        self._asked = 0
        self._ending: SftpStatusError | None = None

    def begin(self) -> None:
        """Open it; the rest follows from the answers."""
        self._session.send_open_directory(self._path, self._on_open)

    def _on_open(self, kind: int, body: Reader) -> None:
        if kind == Packet.STATUS:
            self._end(self._name, body.status())
            return
        self._handle = body.string()
        self._ask()

    def _ask(self) -> None:
        self._asked = self._reads
        self._reads = min(2 * self._reads, _MOST_READS)
        for _request in range(self._asked):
            self._session.send_read_directory(self._handle, self._on_names)

    def _on_names(self, kind: int, body: Reader) -> None:
        self._asked -= 1
        if kind == Packet.NAME:
            names = body.names()
            self._bound.take(f"{self._name}{name}" for name, _attributes in names)
            self._found += names
        else:
            self._ending = self._ending or body.status()
        if self._asked:
            return
        if self._ending is None:
            self._ask()
            return
        self._session.send_close(self._handle)
        self._end(self._name, self._found if self._ending.code == Status.EOF else self._ending)
