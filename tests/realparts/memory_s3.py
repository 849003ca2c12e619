# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An S3 server in memory that fails at the very request a test names, on a real loopback port.

For error paths only: that S3 works is shown on a real server.  It checks no signatures.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

CREATE_ONLY = Literal["honoured", "ignored", "not implemented", "bad request"]
Answer = tuple[int, bytes, dict[str, str]]
_XML = '<?xml version="1.0" encoding="UTF-8"?>'


@dataclass(frozen=True)
class Trouble:
    """What happens at the ``number``-th request of a kind, or of any kind ("")."""

    number: int
    kind: str = ""
    status: int = 0
    code: str = "InternalError"
    lose_request: bool = False
    lose_reply: bool = False


@dataclass
class Stored:
    """An object."""

    data: bytes
    metadata: dict[str, str]


def _refuses_nothing(kind: str, headers: Mapping[str, str]) -> tuple[int, str, str] | None:
    del kind, headers
    return None


@dataclass
class MemoryS3:
    """One bucket's content, how the server behaves, and the troubles to come.  A context manager."""

    troubles: list[Trouble] = field(default_factory=list)
    create_only: CREATE_ONLY = "honoured"
    keeps_metadata: bool = True
    refuses: Callable[[str, Mapping[str, str]], tuple[int, str, str] | None] = _refuses_nothing
    """Is asked of each request, by its kind and headers in lower case: a refusal's status, code, message."""
    knows_ranges: bool = True
    forgets_dates: bool = False
    knows_bulk_delete: bool = True
    page: int = 3
    shrink: int = 0
    """How many bytes an object loses, without a word, when it is put."""
    on_request: Callable[[str], object] = str
    """Is told the kind of each request before it is carried out."""
    locked: set[str] = field(default_factory=set)
    alter_listing: Callable[[str], str] = str
    objects: dict[str, Stored] = field(default_factory=dict)
    uploads: dict[str, tuple[dict[str, str], dict[int, bytes]]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def __enter__(self) -> MemoryS3:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"content": self}))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *unused_details: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def endpoint_url(self) -> str:
        """Where clients connect."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def trouble_at(self, kind: str) -> Trouble | None:
        """Count a request; return what the script has for it."""
        self.requests.append(kind)
        for trouble in self.troubles:
            count = self.requests.count(trouble.kind) if trouble.kind else len(self.requests)
            if trouble.kind in {"", kind} and count == trouble.number:
                return trouble
        return None


class RefusedError(Exception):
    """A request is answered with an error."""

    def __init__(self, status: int, code: str, message: str = "told so") -> None:
        super().__init__(code)
        self.message = message
        self.status = status
        self.code = code


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    content: MemoryS3
    key: str
    query: dict[str, str]
    body: bytes
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *unused_details: object) -> None:
        """Be silent."""

    def _serve(self) -> None:
        address = urlsplit(self.path)
        asked = parse_qs(address.query, keep_blank_values=True)
        self.query = {name: values[0] for name, values in asked.items()}
        self.key = unquote(address.path).partition("/")[2].partition("/")[2]
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = _kind(self.command, self.key, self.query)
        trouble = self.content.trouble_at(kind)
        self.content.on_request(kind)
        try:
            if trouble and trouble.lose_request:
                self._hang_up()
                return
            told = {name.lower(): value for name, value in self.headers.items()}
            if refusal := self.content.refuses(kind, told):
                raise RefusedError(*refusal)
            if trouble and trouble.status:
                raise RefusedError(trouble.status, trouble.code)
            answer = getattr(self, f"_{kind}")()
        except RefusedError as error:
            text = f"{_XML}<Error><Code>{error.code}</Code><Message>{error.message}</Message></Error>"
            answer = (error.status, text.encode(), {})
        if trouble and trouble.lose_reply:
            self._hang_up()
            return
        self._answer(*answer)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _serve

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(2)

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _create(self, stored: Stored) -> None:
        """Create an object as ``If-None-Match`` says, or not."""
        if self.headers.get("If-None-Match"):
            if self.content.create_only == "not implemented":
                raise RefusedError(501, "NotImplemented")
            if self.content.create_only == "bad request":
                raise RefusedError(400, "InvalidArgument")
            if self.content.create_only == "honoured" and self.key in self.content.objects:
                raise RefusedError(412, "PreconditionFailed")
        self.content.objects[self.key] = stored

    def _metadata(self) -> dict[str, str]:
        kept = self.headers.items() if self.content.keeps_metadata else ()
        return {name.lower(): value for name, value in kept if name.lower().startswith("x-amz-meta-")}

    def _put(self) -> Answer:
        self._create(Stored(self.body[: len(self.body) - self.content.shrink], self._metadata()))
        return 200, b"", {"ETag": _etag(self.body)}

    def _get(self) -> Answer:
        stored = self._stored()
        wanted = self.headers.get("Range", "") if self.content.knows_ranges else ""
        headers = {"Last-Modified": "Tue, 14 Nov 2023 22:13:20 GMT", "ETag": _etag(stored.data)}
        if not wanted:
            return 200, stored.data, headers | stored.metadata
        first, last = wanted.removeprefix("bytes=").split("-")
        size = len(stored.data)
        end = min(size, int(last) + 1) if last else size
        if int(first) >= size:
            raise RefusedError(416, "InvalidRange")
        part = stored.data[int(first) : end]
        return 206, part, headers | {"Content-Range": f"bytes {first}-{end - 1}/{size}"}

    def _head(self) -> Answer:
        stored = self._stored()
        status, headers = self._get()[::2]
        if self.content.forgets_dates:
            del headers["Last-Modified"]
        return status, b"", headers | {"Content-Length": str(len(stored.data))}

    def _stored(self) -> Stored:
        if self.key not in self.content.objects:
            raise RefusedError(404, "NoSuchKey")
        return self.content.objects[self.key]

    def _delete(self) -> Answer:
        if self.key in self.content.locked:
            raise RefusedError(403, "AccessDenied")
        self.content.objects.pop(self.key, None)
        return 204, b"", {}

    def _bulk_delete(self) -> Answer:
        if not self.content.knows_bulk_delete:
            raise RefusedError(501, "NotImplemented")
        errors = ""
        for element in ElementTree.fromstring(self.body).iter():  # noqa: S314 -- from our own client
            if element.tag.endswith("Key") and element.text:
                if element.text in self.content.locked:
                    errors += f"<Error><Key>{escape(element.text)}</Key><Code>AccessDenied</Code></Error>"
                else:
                    self.content.objects.pop(element.text, None)
        return 200, f"{_XML}<DeleteResult>{errors}</DeleteResult>".encode(), {}

    def _list(self) -> Answer:
        prefix, delimiter = self.query.get("prefix", ""), self.query.get("delimiter", "")
        entries: dict[str, str] = {}
        for key, stored in sorted(self.content.objects.items()):
            if key.startswith(prefix):
                rest, separator = key[len(prefix) :].partition(delimiter or "\0")[:2]
                if separator:
                    group = quote(prefix + rest + separator)
                    entries[group] = f"<CommonPrefixes><Prefix>{group}</Prefix></CommonPrefixes>"
                else:
                    entries[key] = (
                        f"<Contents><Key>{quote(key)}</Key><Size>{len(stored.data)}</Size>"
                        "<LastModified>2023-11-14T22:13:20.000Z</LastModified></Contents>"
                    )
        start = int(self.query.get("continuation-token", "0"))
        shown = list(entries.values())[start : start + self.content.page]
        more = start + self.content.page < len(entries)
        token = f"<NextContinuationToken>{start + self.content.page}</NextContinuationToken>" if more else ""
        text = (
            f"{_XML}<ListBucketResult><KeyCount>{len(shown)}</KeyCount><EncodingType>url</EncodingType>"
            f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>{token}"
            f"{''.join(shown)}</ListBucketResult>"
        )
        return 200, self.content.alter_listing(text).encode(), {}

    def _start_upload(self) -> Answer:
        upload = f"upload-{len(self.content.requests)}"
        self.content.uploads[upload] = (self._metadata(), {})
        text = f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
        return 200, f"{_XML}{text}".encode(), {}

    def _part(self) -> Answer:
        self._upload()[1][int(self.query["partNumber"])] = self.body
        return 200, b"", {"ETag": _etag(self.body)}

    def _complete(self) -> Answer:
        metadata, parts = self._upload()
        self._create(Stored(b"".join(parts[number] for number in sorted(parts)), metadata))
        del self.content.uploads[self.query["uploadId"]]
        text = "<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"
        return 200, f"{_XML}{text}".encode(), {}

    def _abort(self) -> Answer:
        self._upload()
        del self.content.uploads[self.query["uploadId"]]
        return 204, b"", {}

    def _upload(self) -> tuple[dict[str, str], dict[int, bytes]]:
        if self.query["uploadId"] not in self.content.uploads:
            raise RefusedError(404, "NoSuchUpload")
        return self.content.uploads[self.query["uploadId"]]


def _kind(method: str, key: str, query: dict[str, str]) -> str:
    """Name what a request asks for."""
    if not key:
        return "bulk_delete" if method == "POST" else "list"
    if "uploads" in query:
        return "start_upload"
    if "uploadId" in query:
        return {"PUT": "part", "POST": "complete", "DELETE": "abort"}[method]
    return method.lower()


def _etag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
