# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever the libraries raise has a code: a table of all their exceptions, each raised at each call.

A class that a newer library adds is not in the table, and fails here until somebody has said what it means.
"""

from __future__ import annotations

import builtins
import inspect
import struct
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import paramiko.ssh_exception
import pytest
import urllib3.exceptions
from botocore import exceptions as boto_errors
from botocore.awsrequest import AWSResponse
from realparts.memory_sftp import MemorySftp
from realparts.process import free_ports

from papi_backup.engine.storage.backoff import ONCE
from papi_backup.engine.storage.connecting import TransientError, UnreachableError
from papi_backup.engine.storage.protocol import Storage
from papi_backup.engine.storage.s3 import S3ObjectStorage
from papi_backup.engine.storage.s3_answers import S3Timeouts
from papi_backup.engine.storage.sftp import SftpStorage
from papi_backup.engine.storage.sftp_session import SftpSession
from papi_backup.engine.storage.sftp_wire import ConnectionLostError
from papi_backup.engine.storage.ssh_connect import (
    TRANSPORT_ERRORS,
    SshTimeouts,
    greet,
    login,
    reach,
    start_sftp,
)
from papi_backup.model.errors import InvalidStorageError, PapiError, StorageCredentialsError, TransferError
from papi_backup.model.secret import Secret
from papi_backup.model.storage import S3Storage, SshStorage, StorageAccess

PASSES, PLACE, NONSENSE, INTERNAL = "passes", "place", "nonsense", "internal"
"""Tried again (4005 in the end), 4001, 4005 at once, and 3015: a programming error, as it is."""


def names(text: str) -> list[str]:
    return text.split()


OUR_FAULTS = (TypeError, KeyError, AssertionError, RecursionError, struct.error)


def exceptions_of(module: ModuleType) -> dict[str, type[Exception]]:
    """Return the exceptions that a module defines."""
    return {
        name: found
        for name, found in inspect.getmembers(module, inspect.isclass)
        if issubclass(found, Exception) and (found.__module__, found.__name__) == (module.__name__, name)
    }


OS_ERRORS = {
    name: found
    for name, found in inspect.getmembers(builtins, inspect.isclass)
    if issubclass(found, OSError) and found.__name__ == name
}

BOTO_BROKEN = names("""
    HTTPClientError ConnectionError EndpointConnectionError SSLError ConnectionClosedError
    ReadTimeoutError ConnectTimeoutError ProxyConnectionError ResponseStreamingError
    IncompleteReadError
""")
BOTO_PLACE = names("""
    AliasConflictParameterError ApiVersionNotFoundError AwsChunkedWrapperError
    BaseEndpointResolverError BotoCoreError CapacityNotAvailableError ChecksumError ConfigNotFound
    ConfigParseError CredentialRetrievalError DataNotFoundError EndpointProviderError
    EndpointResolutionError EndpointVariantError FlexibleChecksumError InfiniteLoopConfigError
    InvalidChecksumConfigError InvalidConfigError InvalidDNSNameError InvalidDefaultsMode
    InvalidEndpointConfigurationError InvalidEndpointDiscoveryConfigurationError
    InvalidExpressionError InvalidHostLabelError InvalidIMDSEndpointError
    InvalidIMDSEndpointModeError InvalidMaxRetryAttemptsError InvalidProxiesConfigError
    InvalidRegionError InvalidRetryConfigurationError InvalidRetryModeError
    InvalidS3AddressingStyleError InvalidS3UsEast1RegionalEndpointConfigError
    InvalidSTSRegionalEndpointsConfigError LoginAuthorizationCodeError LoginError
    LoginInsufficientPermissions LoginRefreshRequired LoginTokenLoadError MD5UnavailableError
    MetadataRetrievalError MissingDependencyException MissingParametersError NoAuthTokenError
    NoCredentialsError NoRegionError OperationNotPageableError PaginationError ParamValidationError
    PartialCredentialsError ProfileNotFound RangeError RefreshWithMFAUnsupportedError SSOError
    SSOTokenLoadError ServiceNotInRegionError StubResponseError TokenRetrievalError
    UnStubbedResponseError UnauthorizedSSOTokenError UnknownClientMethodError UnknownCredentialError
    UnknownEndpointError UnknownEndpointResolutionBuiltInName UnknownFIPSEndpointError
    UnknownKeyError UnknownParameterError UnknownRegionError UnknownServiceError UnknownServiceStyle
    UnknownSignatureVersionError UnknownTokenProviderError UnseekableStreamError
    UnsupportedOutpostResourceError UnsupportedS3AccesspointConfigurationError UnsupportedS3ArnError
    UnsupportedS3ConfigurationError UnsupportedS3ControlArnError
    UnsupportedS3ControlConfigurationError UnsupportedServiceProtocolsError
    UnsupportedSignatureVersionError ValidationError WaiterConfigError WaiterError
""")
BOTO = {
    **dict.fromkeys(BOTO_BROKEN, PASSES),
    **dict.fromkeys(BOTO_PLACE, PLACE),
    **dict.fromkeys(("ClientError", "EventStreamError"), PLACE),  # a refusal; its status says which
    "StubAssertionError": INTERNAL,
    **dict.fromkeys(("UndefinedModelAttributeError", "MissingServiceIdError"), INTERNAL),
    **dict.fromkeys(("UnsupportedTLSVersionWarning", "ImminentRemovalWarning"), INTERNAL),
}
URLLIB3_BROKEN = names("""
    HTTPError PoolError RequestError SSLError ProxyError DecodeError ProtocolError MaxRetryError
    HostChangedError TimeoutStateError TimeoutError ReadTimeoutError ConnectTimeoutError
    NewConnectionError NameResolutionError EmptyPoolError FullPoolError ClosedPoolError
    LocationValueError LocationParseError URLSchemeUnknown ResponseError ResponseNotChunked
    BodyNotHttplibCompatible IncompleteRead InvalidChunkLength InvalidHeader ProxySchemeUnknown
    HeaderParsingError UnrewindableBodyError
""")
URLLIB3_WARNINGS = names("""
    HTTPWarning SecurityWarning InsecureRequestWarning NotOpenSSLWarning SystemTimeWarning
    InsecurePlatformWarning DependencyWarning
""")
URLLIB3 = {
    **dict.fromkeys(URLLIB3_BROKEN, PASSES),
    **dict.fromkeys(URLLIB3_WARNINGS, INTERNAL),
    "ProxySchemeUnsupported": NONSENSE,
}
REFUSES_KEY = names("""
    AuthenticationException PasswordRequiredException BadAuthenticationType PartialAuthentication
    UnableToAuthenticate
""")
SSH_BROKEN = names("""
    SSHException BadHostKeyException ProxyCommandFailure NoValidConnectionsError
    CouldNotCanonicalize ConfigParseError MessageOrderError
""")
SSH = {
    **dict.fromkeys(SSH_BROKEN, (ConnectionLostError, ConnectionLostError, ConnectionLostError)),
    **dict.fromkeys(REFUSES_KEY, (ConnectionLostError, StorageCredentialsError, ConnectionLostError)),
    "ChannelException": (ConnectionLostError, ConnectionLostError, InvalidStorageError),
    "IncompatiblePeer": (InvalidStorageError, ConnectionLostError, ConnectionLostError),
}
"""What each is while the encryption is agreed on, at the login, and when a channel is opened."""


def made(kind: type[Exception]) -> Exception:
    """Return an instance, whatever its constructor wants."""
    if issubclass(kind, boto_errors.ClientError):
        return kind({"Error": {"Code": "X"}, "ResponseMetadata": {"HTTPStatusCode": 400}}, "Any")
    told = {"__init__": lambda _self: None, "__str__": lambda _self: "told so"}
    instance: Exception = type(kind.__name__, (kind,), {**told, "url": None, "code": 1, "text": "no"})()
    return instance


@pytest.mark.parametrize(
    ("module", "table"),
    [
        (boto_errors, BOTO),
        (urllib3.exceptions, URLLIB3),
        (paramiko.ssh_exception, SSH),
    ],
    ids=["botocore", "urllib3", "paramiko"],
)
def test_the_table_has_every_exception_of_the_library(module: ModuleType, table: dict[str, object]) -> None:
    assert exceptions_of(module).keys() == table.keys()


# -- S3 ------------------------------------------------------------------------------------------


class Raising:
    """Sends nothing; raises ``error`` when asked to send, or while the body of an object is read."""

    def __init__(self) -> None:
        self.error = Exception()
        self.while_reading = False

    def send(self, request: Any, **_details: object) -> AWSResponse:
        if self.while_reading:
            return AWSResponse(request.url, 200, {"Content-Length": "5"}, self)
        raise self.error

    def read(self, _size: int) -> bytes:
        raise self.error

    def close(self) -> None:
        """Nothing is open."""


def s3_on(sender: Raising) -> S3ObjectStorage:
    entry = S3Storage("s3", "AK", Secret("SK"), "bucket", 8, "http://127.0.0.1:9", "us-east-1")
    return S3ObjectStorage(entry, S3Timeouts(1, 1, 1), ONCE, lambda *_details: sender)


def write(storage: Storage) -> None:
    writer = storage.create("data/1")
    writer.write(b"body")
    writer.commit()


TWO_PARTS = bytes((16 << 20) + 1)


def write_parts(storage: Storage) -> None:
    writer = storage.create("data/1", 65 << 20)
    writer.write(TWO_PARTS)


CALLS: dict[str, Callable[[Storage], object]] = {
    "list": lambda storage: list(storage.list("")),
    "list_children": lambda storage: storage.list_children(""),
    "get": lambda storage: storage.get("data/1", 0, 5),
    "stat": lambda storage: storage.stat("data/1"),
    "write": write,
    "write_parts": write_parts,
    "delete": lambda storage: storage.delete(["data/1"]),
}
FATES: dict[str, type[PapiError]] = {
    PASSES: TransientError,
    PLACE: InvalidStorageError,
    NONSENSE: TransferError,
}
S3_TABLE = [
    *((boto_errors, name, fate) for name, fate in BOTO.items()),
    *((urllib3.exceptions, name, fate) for name, fate in URLLIB3.items()),
    *((builtins, name, PASSES) for name in OS_ERRORS),
]


def outcomes(sender: Raising, call: Callable[[], object]) -> Iterator[tuple[str, str, Exception]]:
    """Yield the name of each exception, its fate and what comes of it; programming errors stay so."""
    for module, name, fate in S3_TABLE:
        sender.error = made(getattr(module, name))
        with pytest.raises(Exception) as raised:
            call()
        if fate == INTERNAL:
            assert raised.value is sender.error, name
        else:
            yield name, fate, raised.value


@pytest.mark.parametrize("call", CALLS)
def test_each_exception_has_its_code_at_each_call_over_s3(call: str) -> None:
    sender = Raising()
    storage = s3_on(sender)
    for name, fate, error in outcomes(sender, lambda: CALLS[call](storage)):
        # A writer repeats parts by itself, and has given up.
        wanted = TransferError if call == "write_parts" and fate == PASSES else FATES[fate]
        assert error.__class__ is wanted, name
        assert str(error), name


def test_each_exception_is_4001_when_the_bucket_is_opened() -> None:
    sender = Raising()
    storage = s3_on(sender)
    for name, fate, error in outcomes(sender, storage.open):
        assert isinstance(error, InvalidStorageError), name
        assert isinstance(error, UnreachableError) == (fate == PASSES), name


def test_each_exception_has_its_code_while_an_object_is_read() -> None:
    sender = Raising()
    sender.while_reading = True
    storage = s3_on(sender)
    for name, fate, error in outcomes(sender, lambda: storage.get("data/1", 0, 5)):
        assert error.__class__ is FATES[fate], name


# -- SSH -----------------------------------------------------------------------------------------


class Transport:
    """Does what is asked of ``paramiko.Transport``, but for one thing, which raises."""

    def __init__(self, fails: str, error: Exception) -> None:
        self._fails = fails
        self._error = error
        self.kex: tuple[str, ...] = ()
        self.ciphers = self.digests = self.key_types = self.kex

    def get_security_options(self) -> Transport:
        return self

    def start_client(self, timeout: float) -> None:
        del timeout
        self._raise("greet")

    def auth_publickey(self, *_details: object) -> list[str]:
        self._raise("login")
        return []

    def open_session(self, timeout: float) -> Transport:
        del timeout
        self._raise("channel")
        return self

    def settimeout(self, seconds: float) -> None:
        """Wait as long as one likes."""

    def invoke_subsystem(self, name: str) -> None:
        self._raise(name)

    def is_active(self) -> bool:
        return self._fails != "sftp"

    def _raise(self, now: str) -> None:
        if now == self._fails:
            raise self._error


ENTRY = SshStorage("s", "127.0.0.1", free_ports(1)[0], "u", 1, "/srv/base")
QUICK = SshTimeouts(1, 1, 1, 1)


def connect_with(fails: str, error: Exception) -> None:
    transport: Any = Transport(fails, error)
    if fails == "greet":
        greet(transport, ENTRY, QUICK)
    elif fails == "login":
        login(transport, ENTRY, paramiko.PKey(), QUICK)
    else:
        start_sftp(transport, ENTRY, QUICK)


def test_each_exception_has_its_code_at_each_step_of_connecting() -> None:
    for name, fates in SSH.items():
        for step, fate in zip(("greet", "login", "channel"), fates, strict=True):
            with pytest.raises(fate):
                connect_with(step, made(getattr(paramiko.ssh_exception, name)))
        with pytest.raises(ConnectionLostError):
            connect_with("sftp", made(getattr(paramiko.ssh_exception, name)))


@pytest.mark.parametrize("step", ["greet", "login", "channel", "sftp"])
def test_a_connection_that_breaks_while_it_is_made_is_tried_again(step: str) -> None:
    for kind in (EOFError, *OS_ERRORS.values()):
        with pytest.raises(ConnectionLostError):
            connect_with(step, kind())


def test_a_name_that_is_no_host_name_is_4001() -> None:
    for name in ("a..b", "x" * 64 + ".example", "no such host.invalid"):
        with pytest.raises(UnreachableError, match="cannot be reached"):
            reach(SshStorage("s", name, 22, "u", 1, "/"), QUICK)


class Breaking:
    """A channel that works until it is to break."""

    def __init__(self) -> None:
        self._channel = MemorySftp().channel()
        self.error: Exception | None = None
        self.sending = False

    def send(self, data: memoryview) -> int:
        if self.error is not None and self.sending:
            raise self.error
        return self._channel.send(data)

    def recv(self, size: int) -> bytes:
        if self.error is not None:
            raise self.error
        return self._channel.recv(size)

    def recv_ready(self) -> bool:
        return self._channel.recv_ready()


class Connected:
    host_key = "ssh-ed25519 AAAA"

    def __init__(self, channel: Breaking) -> None:
        self.session = SftpSession(channel, TRANSPORT_ERRORS)

    def close(self) -> None:
        """Nothing to end."""


def sftp_that(error: Exception, *, sending: bool) -> SftpStorage:
    channel = Breaking()
    storage = SftpStorage(StorageAccess(ENTRY), QUICK, ONCE, lambda *_details: Connected(channel))
    storage.open()
    channel.error, channel.sending = error, sending
    return storage


@pytest.mark.parametrize("sending", [True, False])
@pytest.mark.parametrize("call", CALLS)
def test_each_exception_is_4005_at_each_call_over_sftp(call: str, sending: bool) -> None:
    kinds = [getattr(paramiko.ssh_exception, name) for name in SSH]
    for kind in (*kinds, EOFError, *OS_ERRORS.values()):
        with pytest.raises(TransferError):
            CALLS[call](sftp_that(made(kind), sending=sending))


# -- programming errors --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", OUR_FAULTS)
@pytest.mark.parametrize("call", CALLS)
def test_a_programming_error_stays_one(kind: type[Exception], call: str) -> None:
    sender = Raising()
    sender.error = kind("ours")
    for storage in (s3_on(sender), sftp_that(kind("ours"), sending=True)):
        with pytest.raises(kind, match="ours"):
            CALLS[call](storage)


@pytest.mark.parametrize("kind", OUR_FAULTS)
def test_a_programming_error_stays_one_while_connecting(kind: type[Exception]) -> None:
    with pytest.raises(kind):
        sender = Raising()
        sender.error = kind("ours")
        s3_on(sender).open()
    for step in ("greet", "login", "channel", "sftp"):
        with pytest.raises(kind):
            connect_with(step, kind("ours"))
