# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One place in an S3 bucket: the client, its settings, repeated calls, and what a refusal means.

botocore makes no checksums of its own: its trailers break servers other than AWS.  It repeats a call a
few times by itself; what fails even then is ``TransientError``.
"""

from __future__ import annotations

import functools
import http.client
import threading
from collections.abc import Callable
from decimal import InvalidOperation
from typing import Any, TypeVar

import boto3.session
import botocore.session
from botocore import exceptions as boto_errors
from botocore.config import Config
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError as Urllib3Error

from papi_backup.engine.storage.bounds import LARGEST_WHOLE, refuse_excess
from papi_backup.engine.storage.connecting import Entering, TransientError, UnreachableError, untold
from papi_backup.engine.storage.s3_answers import Answers, NotS3Error, S3Answers, S3Timeouts, time_told
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
_OTHER_STYLE = frozenset({"SecondLevelDomainForbidden", "PathStyleDomainForbidden"})
"""Codes of providers that take a bucket as a part of the host's name only."""
_PROMISED = {
    "head_object": ("ContentLength", "LastModified"),
    "create_multipart_upload": ("UploadId",),
    "upload_part": ("ETag",),
}
"""What an answer to a call has on every S3 server."""
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
Sender = Callable[[str, S3Timeouts, str | None], Answers]
"""Makes what sends requests, for an address, timeouts and a file of certificates to trust."""
_NONSENSE: tuple[type[Exception], ...] = (ValueError, OverflowError, InvalidOperation)
"""What botocore's parsers raise for numbers and times that are none."""
_UNUSABLE: tuple[type[Exception], ...] = (boto_errors.BotoCoreError, *_NONSENSE)
_SKIP = 1 << 16
"""Bytes read at once of what was not asked for."""


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

    def __init__(self, storage: S3Storage, timeouts: S3Timeouts, sender: Sender = S3Answers) -> None:
        self.bucket = storage.bucket_name
        self.server = storage.endpoint_url or f"AWS S3 {storage.region or _DEFAULT_REGION}"
        self.is_aws = not storage.endpoint_url
        self._prefix = f"{storage.prefix.strip('/')}/" if storage.prefix.strip("/") else ""
        self._storage = storage
        self._timeouts = timeouts
        self._sender = sender
        self._style = "auto"
        self.wants_md5 = False
        """Whether the server has refused a newer checksum."""
        self._connect()

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

        Raises :class:`UnreachableError` when nobody answers, without trying again and again, and
        :class:`TransientError` for a server that wants fewer requests.
        """
        doing = f"opening bucket {self.bucket}"
        try:
            page = self._client.list_objects_v2(Bucket=self.bucket, Prefix=self._prefix, MaxKeys=1)
        except boto_errors.ClientError as error:
            refused = S3RefusalError(error)
            if refused.code in _OTHER_STYLE and self._style != "virtual":
                self._style = "virtual"
                self._connect()
                self.open(entering)
                return
            entering("login")
            raise (
                self._passing(refused, doing) if refused.is_passing else self.refusal(refused, doing)
            ) from error
        except NotS3Error as error:
            raise InvalidStorageError(error.message) from error
        except _BROKEN as error:
            raise UnreachableError(f"{self.server} cannot be reached: {error}") from error
        except _UNUSABLE as error:
            if isinstance(error, AssertionError):
                raise
            raise InvalidStorageError(f"{self.server} cannot be used: {error}") from error
        if "IsTruncated" not in page:
            raise InvalidStorageError(f"{self.server} does not list the bucket as an S3 server does")
        entering("login")

    def call(self, method: str, doing: str, **parameters: Any) -> Any:
        """Return the answer of one S3 call on the bucket; see :meth:`run`.

        Raises :class:`TransferError` too, when the answer lacks what it has on every S3 server.
        """
        answer = self.run(lambda: getattr(self._client, method)(Bucket=self.bucket, **parameters), doing)
        missing = [name for name in _PROMISED.get(method, ()) if name not in answer]
        if missing:
            raise TransferError(
                f"{doing} ({self.server}): the answer has no {missing[0]}, as of no S3 server"
            )
        return answer

    def fetch(self, key: str, offset: int, length: int | None, doing: str) -> bytes:
        """Return ``length`` bytes of an object from ``offset`` (to the end when None); fewer at its end.

        The body is read before the call counts as done, and no more of it than was asked for.
        """
        end = "" if length is None else str(offset + length - 1)
        wanted = {"Range": f"bytes={offset}-{end}"} if offset or length is not None else {}

        def read() -> bytes:
            answer = self._client.get_object(Bucket=self.bucket, Key=key, **wanted)
            try:
                return _body_of(answer, offset, length, f"{doing} ({self.server})")
            finally:
                answer["Body"].close()

        return self.run(read, doing)

    def run(self, operation: Callable[[], T], doing: str) -> T:
        """Return ``operation()``.

        Raises :class:`S3RefusalError` for a final answer, :class:`TransientError` naming ``doing``
        for one that may pass and for broken connections, :class:`InvalidStorageError` for what cannot
        be sent at all, and :class:`TransferError` for an answer that makes no sense.
        """
        try:
            return operation()
        except boto_errors.ClientError as error:
            refusal = S3RefusalError(error)
            raise self._passing(refusal, doing) if refusal.is_passing else refusal from error
        except _BROKEN as error:
            raise TransientError(f"{doing} ({self.server}): {error}") from error
        except boto_errors.BotoCoreError as error:
            if isinstance(error, AssertionError):
                raise
            raise InvalidStorageError(f"{doing} ({self.server}): {error}") from error
        except _NONSENSE as error:
            raise TransferError(f"{doing} ({self.server}): the answer makes no sense: {error}") from error

    def _passing(self, refusal: S3RefusalError, doing: str) -> TransientError:
        return TransientError(f"{doing} ({self.server}): {refusal}")

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
        self._answers.close()
        self._client.close()

    def _connect(self) -> None:
        """Make a client, whose requests go through :class:`S3Answers`."""
        self._client, bundle = _client(self._storage, self._timeouts, self._style)
        self._answers = self._sender(self._client.meta.endpoint_url, self._timeouts, bundle)
        self._client.meta.events.register("before-send.s3", self._answers.send)


def _body_of(answer: dict[str, Any], offset: int, length: int | None, doing: str) -> bytes:
    """Return the bytes that were asked for; see :meth:`S3Place.fetch`."""
    body = answer["Body"]
    told = answer.get("ContentRange", "")
    if told and not told.startswith(f"bytes {offset}-"):
        raise TransferError(f"{doing}: asked for the bytes from {offset} on, got {ascii(told)[:80]}")
    if not told:  # a server may answer a range with the whole object
        while offset and (skipped := body.read(min(offset, _SKIP))):
            offset -= len(skipped)
        if length is not None:
            return _whole(body, length)[:length]
    most = LARGEST_WHOLE if length is None else length
    data = _whole(body, most + 1)
    refuse_excess(len(data), most, doing)
    return data


def _whole(body: Any, most: int) -> bytes:
    """Return what there is up to ``most`` bytes; raises what botocore does for a body that ends early."""
    data: bytes = body.read(most)
    if len(data) < most:
        body.read(1)  # compares with the length that was announced
    return data


_making_clients = threading.Lock()


@functools.cache
def _session() -> tuple[Any, Any]:
    """Return the process' one session, boto3's and botocore's: the service's description is parsed once."""
    core = botocore.session.get_session()
    core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=time_told)
    return boto3.session.Session(botocore_session=core), core


def _client(storage: S3Storage, timeouts: S3Timeouts, style: str) -> tuple[Any, str | None]:
    """Make a client that takes nothing from the user's files or environment but proxies and certificates.

    Returns the file of certificates too, if one is set.
    """
    settings = Config(
        signature_version="s3v4",
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        ignore_configured_endpoint_urls=True,
        connect_timeout=timeouts.connect,
        read_timeout=timeouts.read,
        tcp_keepalive=True,
        retries={"mode": "standard", "total_max_attempts": timeouts.tries},
        s3={"addressing_style": style},
    )
    try:
        with _making_clients:  # boto3 says: sessions are not for several threads at once, clients are
            session, core = _session()
            client = session.client(
                "s3",
                endpoint_url=storage.endpoint_url or None,
                region_name=storage.region or _DEFAULT_REGION,
                aws_access_key_id=storage.aws_key_id,
                aws_secret_access_key=storage.aws_secret_key.reveal(),
                config=settings,
            )
            return client, core.get_config_variable("ca_bundle")
    except (ValueError, boto_errors.BotoCoreError) as error:
        raise InvalidStorageError(f"S3 storage {storage.storage_name}: {error}") from error
