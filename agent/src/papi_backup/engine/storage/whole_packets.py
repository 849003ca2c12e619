# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an SSH channel puts what arrives: it wakes the reader for whole SFTP packets, not for each piece.

An answer of 255 KiB comes in eight pieces.  paramiko's own pipe wakes the reader for each, and copies it four
times on the way; here the pieces wait, and are joined once.  Before something is read a server sends no more
than a window (8 MiB): what is larger than any answer with content comes out in parts.
"""

from __future__ import annotations

import threading
import time
from collections import deque

from papi_backup.engine.storage.lean_paramiko import paramiko
from papi_backup.engine.storage.sftp_wire import LARGEST_PACKET

_LENGTH = 4
"""Bytes of a packet's length, which stands before it."""
MOST_WAITING = 1 << 24
"""Bytes that may wait to be read: twice the window, which a server must respect."""
PATIENCE = 10
"""How many times longer than for any bytes a whole packet is waited for."""
MOST_WHOLE = 1 << 20
"""Bytes of the largest packet that is waited for, and of a part of a larger one."""


class WholePackets:
    """Does what ``paramiko.Channel`` asks of its ``in_buffer`` (a ``BufferedPipe``), for a stream of packets.

    One thread feeds, one reads.
    """

    def __init__(self) -> None:
        self._arrived = threading.Condition()
        self._packets: deque[bytes] = deque()
        self._pieces: list[bytes] = []
        self._held = 0
        self._waiting = 0
        self._wanted = _LENGTH
        """Bytes to hold before anything can be done."""
        self._left = 0
        """Bytes of the packet that is under way that were not handed on; 0: its length is not known yet."""
        self._last = 0.0
        self._closed = False

    def __len__(self) -> int:
        """Return how many bytes wait."""
        with self._arrived:
            return self._waiting

    def feed(self, data: bytes) -> None:
        """Take a piece; raises ``SSHException``, which breaks the connection, when too much waits already."""
        with self._arrived:
            self._last = time.monotonic()
            self._pieces.append(data)
            self._held += len(data)
            self._waiting += len(data)
            if self._waiting > MOST_WAITING:
                raise paramiko.SSHException("the server sends more than its window lets it")
            if self._held >= self._wanted:
                self._split()
                if self._packets:
                    self._arrived.notify_all()

    def read_ready(self) -> bool:
        """Return whether :meth:`read` would return a packet at once."""
        with self._arrived:
            return bool(self._packets)

    def read(self, size: int, timeout: float | None = None) -> bytes:
        """Return one packet, or a part of a large one, but no more than ``size`` bytes.

        Waits for it; ``timeout`` is for the seconds in which nothing arrives, ``PATIENCE`` times as long is
        for all of it.  After :meth:`close` returns
        what is left, of an unfinished packet too, and then nothing.  Raises ``paramiko``'s ``PipeTimeout``.
        """
        begun = time.monotonic()
        with self._arrived:
            while not self._packets:
                if self._closed:
                    rest, self._pieces, self._held = b"".join(self._pieces), [], 0
                    self._waiting = 0
                    return rest
                left = None
                if timeout is not None:
                    now = time.monotonic()
                    left = min(timeout - (now - max(begun, self._last)), PATIENCE * timeout - (now - begun))
                    if left <= 0:
                        raise paramiko.buffered_pipe.PipeTimeout
                self._arrived.wait(left)
            packet = self._packets.popleft()
            if len(packet) > size:
                self._packets.appendleft(packet[size:])
                packet = packet[:size]
            self._waiting -= len(packet)
            return packet

    def close(self) -> None:
        """Note that nothing more will arrive."""
        with self._arrived:
            self._closed = True
            self._arrived.notify_all()

    def _split(self) -> None:
        """Join the pieces of the packets that are whole."""
        while self._held >= self._wanted:
            if not self._left:
                self._left = self._announced()
                self._wanted = min(self._left, MOST_WHOLE)
                continue
            self._packets.append(self._taken(self._wanted))
            self._left -= self._wanted
            self._wanted = min(self._left, MOST_WHOLE) if self._left else _LENGTH

    def _announced(self) -> int:
        """Return the bytes of the packet that begins here."""
        if len(self._pieces[0]) < _LENGTH:
            self._pieces = [b"".join(self._pieces)]
        announced = _LENGTH + int.from_bytes(self._pieces[0][:_LENGTH], "big")
        # Nothing, or more, is no SFTP: the reader gets what there is, and says what is wrong with it.
        return announced if _LENGTH < announced <= LARGEST_PACKET else self._held

    def _taken(self, size: int) -> bytes:
        """Return the first bytes of what is held, all but a part of the last piece."""
        self._held -= size
        last = self._pieces.pop()
        end = len(last) - self._held
        self._pieces.append(last[:end])
        taken = b"".join(self._pieces)
        self._pieces = [last[end:]] if self._held else []
        return taken
