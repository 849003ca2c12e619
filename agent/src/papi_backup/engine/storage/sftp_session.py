# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One SFTP session on one SSH channel: requests in flight, answers matched to them by number.

Nothing here retries.  A broken connection is :class:`ConnectionLostError` for every request,
a refusal is ``SftpStatusError`` for its own.  One thread at a time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Protocol

from papi_backup.engine.storage.sftp_wire import (
    LARGEST_PACKET,
    NO_ATTRIBUTES,
    OPEN_CREATE,
    OPEN_READ,
    PRIVATE_DIRECTORY,
    PRIVATE_FILE,
    Attributes,
    ConnectionLostError,
    Limits,
    MalformedPacketError,
    Packet,
    Reader,
    SftpStatusError,
    Space,
    Status,
    string,
    uint32,
    uint64,
    write_header,
)

_RECEIVE = 1 << 20
_KIND, _BODY = 4, 5
"""Where a packet's type and its body begin, behind its length."""
_LEAST_REQUEST = 1024
"""What any server takes in one request, whatever it says: smaller ones would cost more than they carry."""
_SAFE_READ = 32 * 1024
_SAFE_WRITE = 32_640
"""Without a word from the server: what fits, with its header, in one 32 KiB SSH packet."""
_BEST_REQUEST = 255 * 1024
"""What OpenSSH allows in one request; more brings nothing."""


class Channel(Protocol):
    """What is used of ``paramiko.Channel``."""

    def send(self, data: memoryview) -> int:
        """Send some of ``data``; 0 when the channel is closed."""

    def recv(self, size: int) -> bytes:
        """Return what is there, at most ``size`` bytes; empty at the end."""

    def recv_ready(self) -> bool:
        """Whether ``recv`` would return at once."""


Answer = tuple[int, Reader]
Handler = Callable[[int, Reader], None]


def _ignore(kind: int, body: Reader) -> None:
    """Take an answer nobody waits for."""
    del kind, body


class SftpSession:
    """Requests on one channel.

    ``transport_errors`` are the exceptions of the channel's library that mean "broken"; they are
    handed in so that this module needs no SSH library.
    """

    def __init__(self, channel: Channel, transport_errors: tuple[type[Exception], ...]) -> None:
        self._channel = channel
        self._broken: tuple[type[Exception], ...] = (*transport_errors, OSError, EOFError)
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Handler] = {}
        self._handed_out = 0
        self._inbox = b""
        self._failure = ""
        self.extensions = self._greet()
        limits = self._ask_limits()
        self.read_size = limits.read
        self.write_size = limits.write

    @property
    def is_broken(self) -> bool:
        """Whether the connection is known to be lost."""
        return bool(self._failure)

    # -- pipelined requests ------------------------------------------------------------------

    def send_write(self, handle: bytes, offset: int, data: bytes | memoryview, on_status: Handler) -> None:
        """Send a WRITE and return at once; ``on_status`` gets the answer during a later call."""
        request = next(self._numbers)
        self._waiting[request] = on_status
        self._send(b"".join((write_header(request, handle, offset, len(data)), data)))

    def send_open(self, path: bytes, on_handle: Handler) -> None:
        """Send an OPEN to read and return at once; ``on_handle`` gets HANDLE or STATUS later."""
        body = string(path) + uint32(OPEN_READ) + NO_ATTRIBUTES
        self._start(Packet.OPEN, body, self._only(on_handle, Packet.HANDLE))

    def send_read(self, handle: bytes, offset: int, size: int, on_data: Handler) -> None:
        """Send a READ and return at once; ``on_data`` gets DATA or STATUS during a later call."""
        body = string(handle) + uint64(offset) + uint32(size)
        self._start(Packet.READ, body, on_data)

    def send_remove(self, path: bytes, on_status: Handler) -> None:
        """Send a REMOVE and return at once."""
        self._start(Packet.REMOVE, string(path), on_status)

    def send_open_directory(self, path: bytes, on_handle: Handler) -> None:
        """Send an OPENDIR and return at once; ``on_handle`` gets HANDLE or STATUS during a later call."""
        self._start(Packet.OPENDIR, string(path), self._only(on_handle, Packet.HANDLE))

    def send_read_directory(self, handle: bytes, on_names: Handler) -> None:
        """Send a READDIR and return at once; ``on_names`` gets NAME or STATUS during a later call."""
        self._start(Packet.READDIR, string(handle), self._only(on_names, Packet.NAME))

    def send_close(self, handle: bytes) -> None:
        """Close a handle that was only read from; nobody waits for the answer."""
        self._start(Packet.CLOSE, string(handle), _ignore)

    def take_answers(self) -> None:
        """Hand out the answers that have arrived, without waiting."""
        try:
            while self._channel.recv_ready():
                self._receive()
        except self._broken as error:
            raise self._lost(error) from error

    def wait_for_answer(self) -> None:
        """Wait until at least one more answer has been handed out; there must be one to come."""
        if not (self._waiting or self._failure):
            raise RuntimeError("every request has been answered")
        handed_out = self._handed_out
        while self._handed_out == handed_out:
            try:
                self._receive()
            except self._broken as error:
                raise self._lost(error) from error

    # -- several requests in one trip --------------------------------------------------------

    def finish(self, handle: bytes, path: bytes) -> int | None:
        """Make an open file durable where the server offers to, close it, and return its size then.

        Servers must treat requests for one file as if each had been waited for
        (draft-ietf-secsh-filexfer-02, section 6.1), so all of them make one trip, behind the last writes.
        Raises ``SftpStatusError`` for the first that is refused; the handle is closed in any case.
        """
        requests = [(Packet.CLOSE, string(handle)), (Packet.LSTAT, string(path))]
        if "fsync@openssh.com" in self.extensions:
            requests.insert(0, (Packet.EXTENDED, string(b"fsync@openssh.com") + string(handle)))
        *done, (kind, attributes) = self._ask_all(requests)
        for answer in done:
            self._require_ok(answer)
        if kind != Packet.ATTRS:
            raise self._refused(kind, attributes, Packet.LSTAT)
        return attributes.attributes().size

    def publish(self, directories: Sequence[bytes], old: bytes, new: bytes) -> Attributes | None:
        """Rename as version 3 says, so that an existing ``new`` is refused, and look at ``new``.

        Directories that may be missing are made before, outermost first; what that says does not
        matter.  Returns None where nothing was to be seen; raises ``SftpStatusError`` when the rename
        was refused.
        """
        requests = [(Packet.MKDIR, string(directory) + PRIVATE_DIRECTORY) for directory in directories]
        requests += [(Packet.RENAME, string(old) + string(new)), (Packet.LSTAT, string(new))]
        *_made, renamed, (kind, attributes) = self._ask_all(requests)
        self._require_ok(renamed)
        return attributes.attributes() if kind == Packet.ATTRS else None

    # -- plain requests ----------------------------------------------------------------------

    def open(self, path: bytes, flags: int) -> bytes:
        """Return a handle of the file ``path``; one that is made is its owner's alone (mode 0600)."""
        attributes = PRIVATE_FILE if flags & OPEN_CREATE else NO_ATTRIBUTES
        return self._expect(Packet.HANDLE, Packet.OPEN, string(path) + uint32(flags) + attributes).string()

    def stat(self, path: bytes) -> Attributes:
        """Return the attributes of ``path`` itself (links are not followed)."""
        return self._expect(Packet.ATTRS, Packet.LSTAT, string(path)).attributes()

    def stat_target(self, path: bytes) -> Attributes:
        """Return the attributes of what ``path`` leads to."""
        return self._expect(Packet.ATTRS, Packet.STAT, string(path)).attributes()

    def stat_handle(self, handle: bytes) -> Attributes:
        """Return the attributes of an open file."""
        return self._expect(Packet.ATTRS, Packet.FSTAT, string(handle)).attributes()

    def remove(self, path: bytes) -> None:
        """Remove a file."""
        self._expect_ok(Packet.REMOVE, string(path))

    def make_directory(self, path: bytes) -> None:
        """Make one directory, its owner's alone (mode 0700)."""
        self._expect_ok(Packet.MKDIR, string(path) + PRIVATE_DIRECTORY)

    def remove_directory(self, path: bytes) -> None:
        """Remove one empty directory."""
        self._expect_ok(Packet.RMDIR, string(path))

    def space(self, path: bytes) -> Space | None:
        """Return the room on the file system of ``path``; None where the server does not tell."""
        if "statvfs@openssh.com" not in self.extensions:
            return None
        body = string(b"statvfs@openssh.com") + string(path)
        return self._expect(Packet.EXTENDED_REPLY, Packet.EXTENDED, body).space()

    # -- packets -----------------------------------------------------------------------------

    def _greet(self) -> dict[str, bytes]:
        """Agree on version 3 and return the server's extensions."""
        try:
            self._send_packet(Packet.INIT, uint32(3))
            while (packet := self._next_packet()) is None:
                self._fill()
        except self._broken as error:
            raise self._lost(error) from error
        body = Reader(packet, _BODY)
        if packet[_KIND] != Packet.VERSION or body.uint32() < 3:
            raise self._lost(MalformedPacketError("the server does not speak SFTP version 3"))
        extensions = {}
        while not body.at_end:
            name = body.string().decode("ascii", "replace")
            extensions[name] = body.string()
        return extensions

    def _ask_limits(self) -> Limits:
        """Return how large requests may be; modest ones where the server does not say."""
        if "limits@openssh.com" not in self.extensions:
            return Limits(_SAFE_READ, _SAFE_WRITE)
        told = self._expect(Packet.EXTENDED_REPLY, Packet.EXTENDED, string(b"limits@openssh.com")).limits()
        return Limits(_within_reason(told.read or _SAFE_READ), _within_reason(told.write or _SAFE_WRITE))

    def _expect(self, wanted: Packet, kind: Packet, body: bytes) -> Reader:
        ((got, answer),) = self._ask_all([(kind, body)])
        if got == wanted:
            return answer
        raise self._refused(got, answer, kind)

    def _expect_ok(self, kind: Packet, body: bytes) -> None:
        self._require_ok(*self._ask_all([(kind, body)]))

    def _require_ok(self, answer: Answer) -> None:
        got, body = answer
        if got != Packet.STATUS:
            raise self._lost(MalformedPacketError(f"packet {got} instead of a status"))
        status = body.status()
        if status.code != Status.OK:
            raise status

    def _refused(self, got: int, answer: Reader, kind: Packet) -> SftpStatusError | ConnectionLostError:
        """Return what an answer other than the one wanted means."""
        if got == Packet.STATUS:
            return answer.status()
        return self._lost(MalformedPacketError(f"packet {got} in answer to {kind.name}"))

    def _only(self, handler: Handler, wanted: Packet) -> Handler:
        """Return ``handler`` for answers of its kind and for refusals; others break the connection."""

        def check(kind: int, body: Reader) -> None:
            if kind not in (wanted, Packet.STATUS):
                raise self._lost(MalformedPacketError(f"packet {kind} instead of {wanted.name}"))
            handler(kind, body)

        return check

    def _ask_all(self, requests: Sequence[tuple[Packet, bytes]]) -> list[Answer]:
        """Send requests at once and wait for their answers, handing out those of others meanwhile."""
        answers: dict[int, Answer] = {}

        def keep(place: int) -> Handler:
            return lambda got, answer: answers.update({place: (got, answer)})

        for place, (kind, body) in enumerate(requests):
            self._start(kind, body, keep(place))
        while len(answers) < len(requests):
            try:
                self._receive()
            except self._broken as error:
                raise self._lost(error) from error
        return [answers[place] for place in range(len(requests))]

    def _start(self, kind: Packet, body: bytes, handler: Handler) -> None:
        request = next(self._numbers)
        self._waiting[request] = handler
        self._send_packet(kind, uint32(request) + body)

    def _send_packet(self, kind: Packet, body: bytes) -> None:
        self._send(b"".join((uint32(len(body) + 1), bytes([kind]), body)))

    def _send(self, packet: bytes) -> None:
        if self._failure:
            raise ConnectionLostError(self._failure)
        rest = memoryview(packet)
        try:
            while rest:
                sent = self._channel.send(rest)
                if sent == 0:
                    raise EOFError("the server closed the channel")
                rest = rest[sent:]
        except self._broken as error:
            raise self._lost(error) from error

    def _receive(self) -> None:
        """Wait for bytes and hand out every whole answer among them."""
        if self._failure:
            raise EOFError(self._failure)
        self._fill()
        while (packet := self._next_packet()) is not None:
            body = Reader(packet, _BODY)
            try:
                handler = self._waiting.pop(body.uint32())
            except (KeyError, MalformedPacketError) as error:
                raise self._lost(error) from error
            self._handed_out += 1
            try:
                handler(packet[_KIND], body)
            except MalformedPacketError as error:
                raise self._lost(error) from error

    def _fill(self) -> None:
        data = self._channel.recv(_RECEIVE)
        if not data:
            raise EOFError("the server closed the connection")
        self._inbox = self._inbox + data if self._inbox else data

    def _next_packet(self) -> bytes | None:
        """Take one whole packet (length, type and body) from what has arrived."""
        inbox = self._inbox
        if len(inbox) < _BODY:
            return None
        end = _KIND + int.from_bytes(inbox[:_KIND], "big")
        if not _BODY <= end <= LARGEST_PACKET:
            raise self._lost(MalformedPacketError(f"a packet of {end - _KIND} bytes"))
        if len(inbox) < end:
            return None
        self._inbox = inbox[end:]
        return inbox[:end]

    def _lost(self, error: Exception) -> ConnectionLostError:
        """Note that nothing more can be asked of this session."""
        self._failure = self._failure or str(error) or type(error).__name__
        return ConnectionLostError(self._failure)


def _within_reason(told: int) -> int:
    return max(_LEAST_REQUEST, min(told, _BEST_REQUEST))
