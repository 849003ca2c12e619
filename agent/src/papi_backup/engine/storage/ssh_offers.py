# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an SSH server offers to agree on (RFC 4253, section 7.1), for words on why no agreement was found."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence

KINDS = ("key exchange", "host key", "cipher", "MAC")
"""What both sides must share; ciphers and MACs are those from the server to the client."""
_PLACES = {"key exchange": 0, "host key": 1, "cipher": 3, "MAC": 5}
_LARGEST = 35_000
_MOST_LINES = 50
_GREETING = b"SSH-2.0-papi_backup\r\n"
_KEXINIT, _COOKIE = 20, 16


def ask_offers(address: tuple[str, int], seconds: float) -> dict[str, tuple[str, ...]]:
    """Connect once more and return what the server offers of each of ``KINDS``.

    Raises ``OSError`` and ``ValueError`` for a server that does not say it.
    """
    with socket.create_connection(address, timeout=seconds) as connection:
        connection.sendall(_GREETING)
        with connection.makefile("rb") as stream:
            lines = (stream.readline(256) for _line in range(_MOST_LINES))
            if not any(line.startswith(b"SSH-") for line in lines):
                raise ValueError("no SSH server")
            length = int.from_bytes(stream.read(4), "big")
            if not _COOKIE < length <= _LARGEST:
                raise ValueError("no SSH packet")
            return parse_offers(stream.read(length))


def parse_offers(packet: bytes) -> dict[str, tuple[str, ...]]:
    """Return the lists of a KEXINIT packet, without its length; raises ``ValueError`` for anything else."""
    position = 2 + _COOKIE
    if len(packet) < position or packet[1] != _KEXINIT:
        raise ValueError("no KEXINIT")
    lists = []
    for _list in range(1 + max(_PLACES.values())):
        end = position + 4 + int.from_bytes(packet[position : position + 4], "big")
        if end > len(packet):
            raise ValueError("a KEXINIT that ends early")
        lists.append(tuple(packet[position + 4 : end].decode("ascii", "replace").split(",")))
        position = end
    return {kind: lists[place] for kind, place in _PLACES.items()}


def unshared(offers: Mapping[str, Sequence[str]], ours: Mapping[str, Sequence[str]]) -> str:
    """Return words for the first kind of which both have nothing in common; "" where there is none."""
    for kind in KINDS:
        if not set(offers[kind]) & set(ours[kind]):
            return f"no {kind} in common: the server offers {', '.join(offers[kind])[:300]}"
    return ""
