# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sockets the API listens on, bound but not yet listening."""

from __future__ import annotations

import ipaddress
import os
import socket
import stat
from pathlib import Path

from papi_backup.config import ApiSettings
from papi_backup.host_paths import UnsafePathError, make_guarded
from papi_backup.model.errors import InternalError, InvalidParameterError

_SOCKET_MODE = 0o660
_DIRECTORY_MODE = 0o755


def bind_unix(path: Path, group_id: int | None) -> socket.socket:
    """Bind the unix socket (mode 0660, of ``group_id`` if given), in the place of one that nobody serves.

    The directory is made (0755) if it is missing.  Raises :class:`InternalError` when somebody serves it, or
    the path cannot be used, also where somebody else could put another thing there before it gets its mode.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        make_guarded(path.parent, _DIRECTORY_MODE)
        _remove_stale(path)
        listener.bind(os.fspath(path))
        # Nobody can connect before it listens, so there is no moment with other permissions.
        if group_id is not None:
            os.chown(path, -1, group_id)
        path.chmod(_SOCKET_MODE)
    except OSError as error:
        listener.close()
        raise InternalError(f"cannot listen on {path}: {error.strerror or error}") from error
    except UnsafePathError as error:
        listener.close()
        raise InternalError(f"cannot listen on {path}: {error}") from error
    except InternalError:
        listener.close()
        raise
    return listener


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise InternalError(f"cannot listen on {path}: it exists and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise InternalError(f"cannot listen on {path}: another process does")


def bind_tcp(settings: ApiSettings) -> socket.socket:
    """Bind the TCP listener; raises :class:`InternalError`, and for plain http off loopback
    :class:`InvalidParameterError`.
    """
    host, port = settings.listen_host, settings.listen_port
    try:
        family, kind, protocol, canonical, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        del canonical
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise InternalError(f"cannot listen on {settings.listen}: {error.strerror}") from error
    try:
        if not settings.uses_tls and not ipaddress.ip_address(address[0]).is_loopback:
            raise InvalidParameterError(
                f"listen: {settings.listen!r} is reachable from elsewhere and needs TLS: give tls_certificate"
                ' and tls_key, or write tls = "self-made"',
                "listen",
            )
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise InternalError(f"cannot listen on {settings.listen}: {error.strerror}") from error
    except InvalidParameterError:
        listener.close()
        raise
    return listener
