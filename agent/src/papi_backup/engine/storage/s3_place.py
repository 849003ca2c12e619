# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One place in an S3 bucket: the client, its settings, repeated calls, and what a refusal means.

Off AWS, checksums are sent only where required: newer trailers break other servers (design section
6, "Traps").  botocore repeats a call a few times by itself; what fails even then is ``TransientError``.
"""

from __future__ import annotations

import functools
import http.client
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import boto3.session
from botocore import exceptions as boto_errors
from botocore.config import Config
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError as Urllib3Error

from papi_backup.engine.storage.connecting import Entering, TransientError, UnreachableError, untold
from papi_backup.model.errors import InvalidStorageError, PapiError, StorageCredentialsError, TransferError
from papi_backup.model.storage import S3Storage

T = TypeVar("T")
_DEFAULT_REGION = "us-east-1"
_PASSING = frozenset(
    {
        "SlowDown",
        "RequestTimeout",
        "RequestTimeoutException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "ServiceUnavailable",
        "InternalError",
        "OperationAborted",
        "ConditionalRequestConflict",
    }
)
_FULL = frozenset({"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "StorageFull"})
_EXPLAINED: dict[str, tuple[type[PapiError], str]] = {
    "RequestTimeTooSkewed": (
        StorageCredentialsError,
        "this host's clock and the server's differ too much",
    ),
    "InvalidObjectState": (
        InvalidStorageError,
        "the object lies in cold storage and must be fetched back first",
    ),
}
_UNREACHABLE: tuple[type[Exception], ...] = (
    boto_errors.EndpointConnectionError,
    boto_errors.ConnectTimeoutError,
    boto_errors.ProxyConnectionError,
    boto_errors.SSLError,
)
_BROKEN: tuple[type[Exception], ...] = (
    *_UNREACHABLE,
    boto_errors.HTTPClientError,
    boto_errors.ConnectionError,
    boto_errors.ResponseStreamingError,
    boto_errors.IncompleteReadError,
    ResponseParserError,
    Urllib3Error,
    http.client.HTTPException,
    OSError,
)


@dataclass(frozen=True, slots=True)
class S3Timeouts:
    """Seconds to wait for a connection and for bytes; ``tries`` is how often botocore sends a call."""

    connect: float = 10.0
    read: float = 60.0
    tries: int = 3


class S3RefusalError(Exception):
    """The server's final answer to a call.  ``repeated``: botocore had sent the call before."""

    def __init__(self, error: boto_errors.ClientError) -> None:
        told = error.response.get("Error", {})
        meta = error.response.get("ResponseMetadata", {})
        self.code = str(told.get("Code", ""))
        self.status = int(meta.get("HTTPStatusCode", 0))
        self.repeated = bool(meta.get("RetryAttempts"))
        super().__init__(f"{told.get('Message') or 'no message'} ({self.code}, HTTP {self.status})")

    @property
    def is_passing(self) -> bool:
        """Whether the same call may succeed later."""
        if self.status in {501, 507} or self.code in _FULL:
            return False
        return self.code in _PASSING or self.status == 429 or self.status >= 500

    @property
    def is_missing(self) -> bool:
        """Whether there is no such object (the bucket is another matter)."""
        return self.status == 404 and self.code not in {"NoSuchBucket", "NoSuchUpload"}

    @property
    def is_precondition(self) -> bool:
        """Whether ``If-None-Match`` found an object."""
        return self.status == 412 or self.code == "PreconditionFailed"

    @property
    def is_unsupported(self) -> bool:
        """Whether the server does not know what was asked (a header, a bulk call)."""
        return self.status in {400, 405, 501} and self.code not in {"AuthorizationHeaderMalformed"}


class S3Place:
    """A bucket and a prefix in it."""

    def __init__(self, storage: S3Storage, timeouts: S3Timeouts) -> None:
        self.bucket = storage.bucket_name
        self.server = storage.endpoint_url or f"AWS S3 {storage.region or _DEFAULT_REGION}"
        self.is_aws = not storage.endpoint_url
        self._prefix = f"{storage.prefix.strip('/')}/" if storage.prefix.strip("/") else ""
        self._client = _client(storage, timeouts)

    def key(self, name: str) -> str:
        """Return the key of the object or prefix ``name``."""
        return f"{self._prefix}{name}"

    def name(self, key: str) -> str:
        """Return the name below our prefix; raises :class:`TransferError` for a key outside it."""
        if not key.startswith(self._prefix):
            raise TransferError(f"{self.server} listed {key!r}, which was not asked for")
        return key[len(self._prefix) :]

    def open(self, entering: Entering = untold) -> None:
        """See with one request whether the bucket is there and the credentials are good.

        Raises :class:`UnreachableError` when nobody answers, without trying again and again.
        """
        try:
            self._client.list_objects_v2(Bucket=self.bucket, Prefix=self._prefix, MaxKeys=1)
            entering("login")
        except boto_errors.ClientError as error:
            entering("login")
            raise self.refusal(S3RefusalError(error), f"opening bucket {self.bucket}") from error
        except (*_BROKEN, boto_errors.BotoCoreError, ValueError) as error:
            raise UnreachableError(f"{self.server} cannot be reached: {error}") from error

    def call(self, method: str, doing: str, **parameters: Any) -> Any:
        """Return the answer of one S3 call on the bucket; see :meth:`run`."""
        return self.run(lambda: getattr(self._client, method)(Bucket=self.bucket, **parameters), doing)

    def fetch(self, key: str, byte_range: str, doing: str) -> tuple[dict[str, Any], bytes]:
        """Return (answer, body) of a GET; the body is read before the call counts as done."""
        extra = {"Range": byte_range} if byte_range else {}

        def read() -> tuple[dict[str, Any], bytes]:
            answer = self._client.get_object(Bucket=self.bucket, Key=key, **extra)
            with answer["Body"] as body:
                return answer, body.read()

        return self.run(read, doing)

    def run(self, operation: Callable[[], T], doing: str) -> T:
        """Return ``operation()``.

        Raises :class:`S3RefusalError` for a final answer, :class:`TransientError` naming ``doing``
        for one that may pass and for broken connections.
        """
        try:
            return operation()
        except boto_errors.ClientError as error:
            refusal = S3RefusalError(error)
            if not refusal.is_passing:
                raise refusal from error
            raise TransientError(f"{doing} ({self.server}): {refusal}") from error
        except _BROKEN as error:
            raise TransientError(f"{doing} ({self.server}): {error}") from error

    def refusal(self, error: S3RefusalError, doing: str) -> PapiError:
        """Say what the server's answer means."""
        what = f"{self.server}: {doing}: {error}"
        if error.code == "NoSuchBucket":
            return InvalidStorageError(f"bucket {self.bucket} does not exist on {self.server}")
        if error.code in _FULL or error.status == 507:
            return InvalidStorageError(f"disk full: {what}")
        if error.code in _EXPLAINED:
            kind, explanation = _EXPLAINED[error.code]
            return kind(f"{what}; {explanation}")
        if error.status in {401, 403}:
            return StorageCredentialsError(what)
        return TransferError(what) if error.is_passing else InvalidStorageError(what)

    def close(self) -> None:
        """Close idle connections; never raises."""
        self._client.close()


_making_clients = threading.Lock()


@functools.cache
def _session() -> Any:
    """Return the process' one session: it loads and parses the service's description only once."""
    return boto3.session.Session()


def _client(storage: S3Storage, timeouts: S3Timeouts) -> Any:
    """Make a client that takes nothing from the user's files or environment but proxies."""
    settings = Config(
        signature_version="s3v4",
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        ignore_configured_endpoint_urls=True,
        connect_timeout=timeouts.connect,
        read_timeout=timeouts.read,
        tcp_keepalive=True,
        retries={"mode": "standard", "total_max_attempts": timeouts.tries},
    )
    try:
        with _making_clients:  # boto3 says: sessions are not for several threads at once, clients are
            return _session().client(
                "s3",
                endpoint_url=storage.endpoint_url or None,
                region_name=storage.region or _DEFAULT_REGION,
                aws_access_key_id=storage.aws_key_id,
                aws_secret_access_key=storage.aws_secret_key.reveal(),
                config=settings,
            )
    except (ValueError, boto_errors.BotoCoreError) as error:
        raise InvalidStorageError(f"S3 storage {storage.storage_name}: {error}") from error
