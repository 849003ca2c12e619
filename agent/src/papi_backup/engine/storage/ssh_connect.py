# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens one authenticated SSH connection with an SFTP session on it.

paramiko never sets TCP_NODELAY and prefers AES-CTR; so the socket is made here and AES-GCM comes
first.  The host key is compared before anything that depends on the user is sent.  Only the key
that is handed in is offered: no agent, no files of the user.
"""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

from papi_backup.engine.storage.connecting import Entering, UnreachableError, untold
from papi_backup.engine.storage.lean_paramiko import paramiko
from papi_backup.engine.storage.sftp_session import SftpSession
from papi_backup.engine.storage.sftp_wire import ConnectionLostError
from papi_backup.engine.storage.ssh_bounds import Unheard, bounded_packetizer
from papi_backup.engine.storage.ssh_offers import KINDS, ask_offers, unshared
from papi_backup.engine.storage.whole_packets import WholePackets
from papi_backup.model.errors import InvalidStorageError, StorageCredentialsError
from papi_backup.model.host_key import fingerprint, same_key, signature_algorithms
from papi_backup.model.secret import Secret
from papi_backup.model.storage import SshStorage, StorageAccess

logging.getLogger("paramiko").addHandler(logging.NullHandler())

TRANSPORT_ERRORS: tuple[type[Exception], ...] = (paramiko.SSHException,)
"""What paramiko raises, besides ``OSError`` and ``EOFError``, when a connection breaks."""

_BROKEN: tuple[type[Exception], ...] = (*TRANSPORT_ERRORS, OSError, EOFError)


class _WithoutTraces(logging.Filter):
    """Keeps the traceback of a connection that broke out of the log; one line of it stays.

    Whoever uses the connection gets the same error, tries again or tells the cause in words.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record of paramiko's thread is logged; each line of a traceback is one."""
        broken = isinstance(sys.exc_info()[1], _BROKEN)
        return not (broken and record.getMessage() in paramiko.util.tb_strings())


logging.getLogger("paramiko.transport").addFilter(_WithoutTraces())

_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr")
_DIGESTS = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
)
_WINDOW = 1 << 23
"""How much a server may send before we take it, in bytes: more than all reads in flight."""
_PACKET = 1 << 15
_SHORT_OF_RESOURCES = 4
"""The reason not to open a channel that may pass (RFC 4254, section 5.1)."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SshTimeouts:
    """How long, in seconds, one may wait.  ``idle`` is for an answer while bytes should flow."""

    connect: float = 10.0
    handshake: float = 15.0
    login: float = 30.0
    idle: float = 60.0


@dataclass(frozen=True, slots=True)
class SshConnection:
    """A connection that is logged in.  ``host_key`` is what the server showed."""

    transport: paramiko.Transport
    session: SftpSession
    host_key: str

    def close(self) -> None:
        """End the connection; never raises."""
        close_transport(self.transport)


def connect(access: StorageAccess, timeouts: SshTimeouts, entering: Entering = untold) -> SshConnection:
    """Connect, check the host key, log in, start SFTP; ``entering`` is told "login" once it is reached.

    Raises :class:`UnreachableError` (4001), :class:`InvalidStorageError` (4001) for another host
    key or a server without SFTP, :class:`StorageCredentialsError` (4000), and
    :class:`ConnectionLostError` when the connection breaks on the way.
    """
    storage = access.storage
    if not isinstance(storage, SshStorage):
        raise TypeError("not an SSH storage")
    key = _private_key(access)
    transport = reach(storage, timeouts)
    try:
        host_key = greet(transport, storage, timeouts)
        entering("login")
        login(transport, storage, key, timeouts)
        return SshConnection(transport, start_sftp(transport, storage, timeouts), host_key)
    except BaseException:
        close_transport(transport)
        raise


def reach(storage: SshStorage, timeouts: SshTimeouts) -> paramiko.Transport:
    """Open the TCP connection; raises :class:`UnreachableError`."""
    address = (storage.server_name, storage.ssh_port)
    try:
        connection = socket.create_connection(address, timeout=timeouts.connect)
    except (OSError, UnicodeError, OverflowError) as error:  # a name may be none at all
        raise _unreachable(storage, error) from error
    try:
        return _transport_on(connection, timeouts)
    except BaseException as error:
        connection.close()
        if isinstance(error, _BROKEN):
            raise _unreachable(storage, error) from error
        raise


def _transport_on(connection: socket.socket, timeouts: SshTimeouts) -> paramiko.Transport:
    milliseconds = int(timeouts.idle * 1000)
    for level, option, value in (
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
        # paramiko waits for ever to send to a peer that takes nothing; the kernel then breaks it off
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds),
    ):
        connection.setsockopt(level, option, value)
    transport = paramiko.Transport(
        connection,
        default_window_size=_WINDOW,
        default_max_packet_size=_PACKET,
        packetizer_class=bounded_packetizer,
    )
    transport.banner_timeout = timeouts.handshake
    transport.handshake_timeout = timeouts.handshake
    transport.auth_timeout = timeouts.login
    transport.channel_timeout = timeouts.login
    return transport


def greet(transport: paramiko.Transport, storage: SshStorage, timeouts: SshTimeouts) -> str:
    """Negotiate encryption and return the server's host key, ``<type> <base64>``.

    Raises :class:`InvalidStorageError` if a key is pinned and the server shows another, or if nothing can be
    agreed on.
    """
    options = transport.get_security_options()
    options.ciphers = _supported(_CIPHERS, options.ciphers)
    options.digests = _supported(_DIGESTS, options.digests)
    pinned = storage.host_key.strip()
    if pinned:
        wanted = _supported(signature_algorithms(pinned), options.key_types)
        options.key_types = (*wanted, *(kind for kind in options.key_types if kind not in wanted))

    def negotiate() -> paramiko.PKey:
        try:
            transport.start_client(timeout=timeouts.handshake)
        except paramiko.ssh_exception.IncompatiblePeer as error:
            raise InvalidStorageError(
                f"{_server(storage)} and this agent cannot agree on how to speak: "
                f"{_disagreement(storage, options, timeouts) or error}"
            ) from error
        return transport.get_remote_server_key()

    shown = _unless_broken(negotiate)
    host_key = f"{shown.get_name()} {shown.get_base64()}"
    if pinned and not same_key(pinned, host_key):
        raise InvalidStorageError(
            f"the host key of {_server(storage)} has changed: expected {fingerprint(pinned)}, "
            f"got {fingerprint(host_key)}; if the server was reinstalled, set the new host key, "
            "otherwise somebody may be in between"
        )
    return host_key


def login(
    transport: paramiko.Transport, storage: SshStorage, key: paramiko.PKey, timeouts: SshTimeouts
) -> None:
    """Log in with ``key``; raises :class:`StorageCredentialsError` when the server refuses it."""
    begun = time.monotonic()

    def authenticate() -> list[str]:
        try:
            return list(transport.auth_publickey(storage.ssh_username, key))
        except paramiko.AuthenticationException as error:
            if not transport.is_active() or time.monotonic() - begun >= timeouts.login:
                raise  # nobody refused anything: the connection broke or the server fell silent
            raise StorageCredentialsError(_refused(storage)) from error

    if _unless_broken(authenticate):
        raise StorageCredentialsError(f"{_refused(storage)}: the server wants more than a key")


def start_sftp(transport: paramiko.Transport, storage: SshStorage, timeouts: SshTimeouts) -> SftpSession:
    """Start the SFTP subsystem; raises :class:`InvalidStorageError` where there is none."""
    channel = _unless_broken(lambda: _open_channel(transport, storage, timeouts))
    channel.settimeout(timeouts.idle)
    channel.in_buffer = WholePackets()  # nothing has come yet
    channel.in_stderr_buffer = Unheard()

    def ask() -> None:
        try:
            channel.invoke_subsystem("sftp")
        except paramiko.SSHException as error:
            if not transport.is_active():
                raise
            raise InvalidStorageError(f"{_server(storage)} offers no SFTP") from error
        transport.set_keepalive(30)

    _unless_broken(ask)
    return SftpSession(channel, TRANSPORT_ERRORS)


def _open_channel(
    transport: paramiko.Transport, storage: SshStorage, timeouts: SshTimeouts
) -> paramiko.Channel:
    """Open a channel; raises :class:`InvalidStorageError` where the server refuses that for good."""
    try:
        return transport.open_session(timeout=timeouts.login)
    except paramiko.ChannelException as error:
        if error.code == _SHORT_OF_RESOURCES:
            raise
        raise InvalidStorageError(f"{_server(storage)} opens no session: {error.text}") from error


def close_transport(transport: paramiko.Transport) -> None:
    """End a connection; never raises."""
    with contextlib.suppress(OSError):
        transport.sock.shutdown(socket.SHUT_RDWR)  # wakes paramiko's thread, which close() waits for
    transport.close()


def _private_key(access: StorageAccess) -> paramiko.PKey:
    """Return the access' key; raises :class:`StorageCredentialsError` when it is none."""
    if access.ssh_id is None or not access.ssh_id.private_key:
        raise StorageCredentialsError(f"storage {access.storage.storage_name} has no SSH key")
    return load_private_key(access.ssh_id.private_key, access.ssh_id.key_name)


def load_private_key(secret: Secret, key_name: str) -> paramiko.PKey:
    """Return the key of PEM text (OpenSSH's format or the older ones).

    Raises :class:`StorageCredentialsError`; the reason is not passed on, it might quote the key.
    """
    text = secret.reveal()
    load = load_ssh_private_key if "OPENSSH PRIVATE KEY" in text else load_pem_private_key
    try:
        key = load(text.encode(), None)
        if isinstance(key, rsa.RSAPrivateKey):
            return paramiko.RSAKey.from_private_key(io.StringIO(text))
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return paramiko.ECDSAKey.from_private_key(io.StringIO(text))
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return paramiko.Ed25519Key.from_private_key(io.StringIO(text))
    except (ValueError, TypeError, UnsupportedAlgorithm, paramiko.SSHException):
        pass  # told below, without the details
    raise StorageCredentialsError(f"SSH id {key_name} holds no usable private key")


def _unless_broken(step: Callable[[], T]) -> T:
    """Return ``step()``, with what paramiko raises for a broken connection as one exception."""
    try:
        return step()
    except _BROKEN as error:
        raise ConnectionLostError(str(error) or "the server closed the connection") from error


def _disagreement(
    storage: SshStorage, options: paramiko.transport.SecurityOptions, timeouts: SshTimeouts
) -> str:
    """Return what the server offers instead of what this client knows; "" where it does not say."""
    ours = dict(zip(KINDS, (options.kex, options.key_types, options.ciphers, options.digests), strict=True))
    try:
        offers = ask_offers((storage.server_name, storage.ssh_port), timeouts.handshake)
    except (OSError, ValueError):
        return ""
    return unshared(offers, ours)


def _unreachable(storage: SshStorage, error: BaseException) -> UnreachableError:
    reason = (error.strerror if isinstance(error, OSError) else "") or str(error)
    return UnreachableError(f"{_server(storage)} cannot be reached: {reason}")


def _supported(wanted: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in wanted if name in known)


def _server(storage: SshStorage) -> str:
    return f"{storage.server_name} port {storage.ssh_port}"


def _refused(storage: SshStorage) -> str:
    return f"{_server(storage)} refused the SSH key for user {storage.ssh_username}"
