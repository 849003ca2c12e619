# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One object on its way to an SFTP server: pipelined, resumed after a broken connection.

Data goes to ``tmp/<random>`` in requests of the size the server allows, several in flight.  What
the server has not acknowledged is kept; when the connection breaks, the next one finds the same
file, checks that everything acknowledged is still there, sends the identical rest again and goes on.
Then, in one trip: fsync, close, size.  When all of that and every write is acknowledged, in another
one: plain rename (OpenSSH's refuses an existing target; ``posix-rename`` would overwrite), size again
under the new name.
"""

from __future__ import annotations

import contextlib
import posixpath
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from papi_backup.engine.storage.backoff import Attempts, RetryPolicy
from papi_backup.engine.storage.connecting import Entering, UnreachableError, untold
from papi_backup.engine.storage.names import TEMPORARY, ancestors, temporary_name
from papi_backup.engine.storage.protocol import ObjectExistsError
from papi_backup.engine.storage.sftp_directories import make_directory
from papi_backup.engine.storage.sftp_link import SftpLink
from papi_backup.engine.storage.sftp_session import SftpSession
from papi_backup.engine.storage.sftp_wire import (
    OPEN_CREATE,
    OPEN_WRITE,
    Attributes,
    ConnectionLostError,
    Reader,
    SftpStatusError,
    Status,
)
from papi_backup.model.errors import InvalidStorageError, TransferError

IN_FLIGHT = 4 << 20
"""Most bytes that are sent and not acknowledged; the writer keeps a copy of these."""
_RENAMES = 30
"""A directory may be removed beneath us, because it is empty, between making it and using it."""


@dataclass(slots=True, eq=False)
class _Piece:
    """The data of one WRITE request that is not acknowledged yet, and the session it went out on."""

    offset: int
    data: bytes
    session: SftpSession | None = None
    acknowledged: bool = False


class SftpWriter:
    """Implements ``protocol.ObjectWriter``."""

    def __init__(self, link: SftpLink, name: str, retry: RetryPolicy, entering: Entering = untold) -> None:
        """Open the temporary file.  ``entering`` is told "rename" when all is written."""
        self._link = link
        self._name = name
        self._entering = entering
        self._temporary = link.path(temporary_name())
        self._target = link.path(name)
        self._doing = f"writing {name} to {link.server}"
        self._attempts = Attempts(retry, self._doing)
        self._session: SftpSession | None = None
        self._handle = b""
        self._opened = False
        self._request_size = 1
        self._pending = bytearray()  # accepted, too little for a request of its own
        self._pieces: deque[_Piece] = deque()  # sent, not acknowledged, by offset
        self._size = 0
        self._refusal: SftpStatusError | None = None
        self._rename_sent = False
        self._finished = False
        self._persist(self._settle)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See ``protocol.ObjectWriter.write``."""
        with memoryview(data).cast("B") as view:
            position = 0
            if self._pending:
                position = min(self._request_size - len(self._pending), len(view))
                self._pending += view[:position]
                if len(self._pending) < self._request_size:
                    return
                self._flush()
            while len(view) - position >= self._request_size:
                piece = bytes(view[position : position + self._request_size])
                self._post(piece)
                position += len(piece)
            self._pending += view[position:]

    def commit(self) -> None:
        """See ``protocol.ObjectWriter.commit``."""
        if self._pending:
            self._flush()
        self._persist(self._complete)
        self._entering("rename")
        self._repeat(lambda: self._publish(self._link.session()))
        self._finished = True

    def abort(self) -> None:
        """See ``protocol.ObjectWriter.abort``; where the connection is gone the file stays in ``tmp/``."""
        if self._finished:
            return
        self._finished = True
        self._pieces.clear()
        session = self._link.live_session()
        if session is None:
            return
        try:
            if session is self._session and self._handle:
                session.send_close(self._handle)
            session.remove(self._temporary)
        except (ConnectionLostError, SftpStatusError):
            return

    # -- sending -----------------------------------------------------------------------------

    def _flush(self) -> None:
        data = bytes(self._pending)
        self._pending.clear()
        self._post(data)

    def _post(self, data: bytes) -> None:
        """Send one piece and wait until no more than ``IN_FLIGHT`` bytes are unacknowledged."""
        piece = _Piece(self._size, data)
        self._size += len(data)
        self._pieces.append(piece)
        self._persist(lambda session: self._send_piece(session, piece))

    def _send_piece(self, session: SftpSession, piece: _Piece) -> None:
        if piece.session is not session:  # it is, when connecting again has sent it with the others
            self._send(session, piece)
        session.take_answers()
        self._settle(session)
        while self._pieces and self._size - self._pieces[0].offset > IN_FLIGHT:
            session.wait_for_answer()
            self._settle(session)

    def _send(self, session: SftpSession, piece: _Piece) -> None:
        def on_status(kind: int, body: Reader) -> None:
            del kind  # only STATUS answers a WRITE; anything else does not parse as OK
            status = body.status()
            if status.code == Status.OK:
                piece.acknowledged = True
            else:
                self._refusal = self._refusal or status

        piece.session = session
        session.send_write(self._handle, piece.offset, piece.data, on_status)

    def _settle(self, session: SftpSession) -> None:
        """Forget acknowledged pieces; raise what the server refused."""
        if self._refusal is not None:
            raise self._link.refusal(self._refusal, self._doing, session) from self._refusal
        while self._pieces and self._pieces[0].acknowledged:
            self._pieces.popleft()
            self._attempts.progressed()

    # -- connections -------------------------------------------------------------------------

    def _persist(self, step: Callable[[SftpSession], None]) -> None:
        """Do ``step`` on a session that has the file open, again after each broken connection.

        As long as the server acknowledges something between two failures they do not add up.
        """

        def on_open_file() -> None:
            session = self._link.session()
            if session is not self._session:
                self._open_on(session)
            step(session)

        self._repeat(on_open_file)

    def _repeat(self, step: Callable[[], None]) -> None:
        while True:
            try:
                step()
                return
            except (ConnectionLostError, UnreachableError) as error:
                self._attempts.failed(error)

    def _open_on(self, session: SftpSession) -> None:
        """Open the file on a new session, check what is there, send again what is unacknowledged.

        Raises :class:`TransferError` if data is missing that the server had acknowledged.
        """
        handle = self._open_temporary(session)
        # The first time it is new and empty, and asking would be a round trip for each volume.
        there = session.stat_handle(handle).size if self._opened else 0
        self._opened = True
        acknowledged = self._pieces[0].offset if self._pieces else self._size
        if there is None or not acknowledged <= there <= self._size:
            session.send_close(handle)
            raise TransferError(
                f"{self._doing}: {acknowledged} bytes were acknowledged, but after connecting again "
                f"{there} are there"
            )
        self._session, self._handle, self._request_size = session, handle, session.write_size
        for piece in self._pieces:
            self._send(session, piece)

    def _open_temporary(self, session: SftpSession) -> bytes:
        """Open the file below ``tmp/``, which is made if it is missing."""
        try:
            try:
                return session.open(self._temporary, OPEN_WRITE | OPEN_CREATE)
            except SftpStatusError as error:
                if error.code != Status.NO_SUCH_FILE:
                    raise
            make_directory(self._link, session, TEMPORARY)
            return session.open(self._temporary, OPEN_WRITE | OPEN_CREATE)
        except SftpStatusError as error:
            raise self._link.refusal(error, self._doing, session) from error

    # -- the end -----------------------------------------------------------------------------

    def _complete(self, session: SftpSession) -> None:
        """Make the file durable, close it, and look at its size; that counts once all is acknowledged."""
        handle, self._handle = self._handle, b""
        refused: SftpStatusError | None = None
        there: int | None = None
        try:
            there = session.finish(handle, self._temporary)
        except SftpStatusError as error:
            refused = error
        self._settle(session)
        while self._pieces:
            session.wait_for_answer()
            self._settle(session)
        if refused is not None:
            raise self._link.refusal(refused, self._doing, session) from refused
        self._check_size(there)

    def _publish(self, session: SftpSession) -> None:
        """Give the file its name.  Repeated only after a connection broke, when a reply may be lost."""
        reply_lost, self._rename_sent = self._rename_sent, True
        if reply_lost and self._is_there(session):
            self._remove_quietly(session)
            return
        try:
            published = self._rename(session)
        except SftpStatusError as error:
            if not self._exists(session):
                raise self._rename_refused(error, session) from error
            if not (reply_lost and self._is_there(session)):
                self._rename_sent = False
                raise ObjectExistsError(self._name) from error
            published = None
        self._check_size((published or session.stat(self._target)).size)

    def _rename(self, session: SftpSession) -> Attributes | None:
        """Rename, making the directories above the name that may be missing; what is there then."""
        above = list(ancestors(self._name))[::-1]
        attempts = 0
        while True:
            missing = [self._link.path(name) for name in above if name not in self._link.made]
            try:
                published = session.publish(missing, self._temporary, self._target)
            except SftpStatusError as error:
                self._link.made.difference_update(above)
                attempts += 1
                if error.code != Status.NO_SUCH_FILE or attempts == _RENAMES:
                    raise
            else:
                self._link.made.update(above)
                return published
            with contextlib.suppress(SftpStatusError):
                make_directory(self._link, session, posixpath.dirname(self._name))

    def _exists(self, session: SftpSession) -> bool:
        try:
            session.stat(self._target)
        except SftpStatusError:
            return False
        return True

    def _is_there(self, session: SftpSession) -> bool:
        """Whether the name holds as many bytes as were written: after a lost reply, our object."""
        try:
            return session.stat(self._target).size == self._size
        except SftpStatusError:
            return False

    def _remove_quietly(self, session: SftpSession) -> None:
        """Remove the first name: a server that died between link and unlink has left both."""
        with contextlib.suppress(SftpStatusError):
            session.remove(self._temporary)

    def _rename_refused(self, error: SftpStatusError, session: SftpSession) -> Exception:
        told = self._link.refusal(error, self._doing, session)
        if isinstance(told, InvalidStorageError) and error.code == Status.FAILURE:
            return told  # a full disk
        return InvalidStorageError(
            f"{self._link.server} does not rename {self._temporary.decode()} to {self._target.decode()}: "
            f"{error}; a storage needs a working rename"
        )

    def _check_size(self, there: int | None) -> None:
        if there != self._size:
            raise TransferError(f"{self._doing}: {self._size} bytes were sent, {there} are there")
