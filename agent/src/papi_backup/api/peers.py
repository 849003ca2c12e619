# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is at the other end of the unix socket (docs/accounts.md, "On the host: the unix socket")."""

from __future__ import annotations

import grp
import os
import socket
import struct
from dataclasses import dataclass

from papi_backup.model.errors import InvalidParameterError

_UCRED = struct.Struct("=iII")
_SO_PEERGROUPS = 59
"""Linux's number; the socket module does not have it."""

_GROUP = struct.Struct("=I")
_GROUPS_BYTES = 1024
"""The most that getsockopt takes in Python: 256 groups."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A process as the kernel knew it when it connected."""

    pid: int
    uid: int
    groups: frozenset[int]


class TrustedPeers:
    """Which peers are administrators: root, the agent's own user, and members of one group."""

    def __init__(self, group: str = "") -> None:
        """``group`` "": none.  An unknown group raises :class:`InvalidParameterError`."""
        self._uids = frozenset((0, os.geteuid()))
        self._group = group
        self.group_id: int | None = None
        if group:
            try:
                self.group_id = grp.getgrnam(group).gr_gid
            except KeyError:
                raise InvalidParameterError(
                    f"socket_group: there is no group {group!r} on this host", "socket_group"
                ) from None

    def refusal(self, peer: Peer) -> str:
        """Return why a peer is not trusted, and what it can do."""
        admitted = f"neither root nor in the group {self._group!r}" if self._group else "not root"
        return f"uid {peer.uid} is {admitted}; log in with an account or an API token"

    def __contains__(self, peer: Peer) -> bool:
        return peer.uid in self._uids or self.group_id in peer.groups


def peer_of(connection: socket.socket) -> Peer | None:
    """Return the peer of a connected unix socket; None for other sockets."""
    if connection.family != socket.AF_UNIX:
        return None
    pid, uid, gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return Peer(pid, uid, frozenset((gid, *_supplementary_groups(connection))))


def _supplementary_groups(connection: socket.socket) -> tuple[int, ...]:
    try:
        data = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _GROUPS_BYTES)
    except OSError:  # more than 256 groups, or a kernel without it: then only the primary one counts
        return ()
    return tuple(group for (group,) in _GROUP.iter_unpack(data))
