# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What paramiko would take from a server without end: packets of any announced length, and error output."""

from __future__ import annotations

import socket
from typing import Any

from papi_backup.engine.storage.lean_paramiko import paramiko

LARGEST_SSH_PACKET = 1 << 20
"""Bytes of an SSH packet that is believed; OpenSSH allows 256 KiB."""


def bounded_packetizer(connection: socket.socket) -> Any:
    """Return paramiko's reader of packets, which breaks the connection for a longer one."""
    packetizer = paramiko.packet.Packetizer(connection)
    read_all = packetizer.read_all

    def read(n: int, check_rekey: bool = False) -> bytes:
        if n > LARGEST_SSH_PACKET:
            raise paramiko.SSHException(f"the server announces an SSH packet of {n} bytes")
        data: bytes = read_all(n, check_rekey)
        return data

    packetizer.read_all = read
    return packetizer


class Unheard:
    """Does what ``paramiko.Channel`` asks of its ``in_stderr_buffer``: takes output that nobody reads."""

    def feed(self, data: bytes) -> None:
        """Forget ``data``."""

    def close(self) -> None:
        """Nothing was kept."""
