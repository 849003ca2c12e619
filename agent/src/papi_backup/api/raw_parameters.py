# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Query and body of a request as fields and values, before any meaning.

Forgiving about what old clients send (docs/api_conventions.md, "Parameters"): the body is told by what it
looks like where its type does not say, a multipart type without boundary or body is no error, and
``name[]`` is ``name``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Container, Iterator
from email.message import Message
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from papi_backup.model.errors import InvalidParameterError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

RawParameters = dict[str, list[object]]
"""The values of each field, in the order in which they came."""

_MAXIMUM_FIELDS = 20_000
_FIELDS_A_BREATH = 256
_PIECE_BYTES = 2 << 10
_BREATH_SECONDS = 0.002
_SMALL_BYTES = 8 << 10
_SMALL_MULTIPART_BYTES = 2 << 10
"""Each part of one takes as long as a hundred fields of a form."""

_SMALL_FIELDS = 256


def is_small(query: bytes, content_type: str, body: bytes) -> bool:
    """Whether finding a few fields takes so little that nobody needs to rest meanwhile."""
    most = _SMALL_MULTIPART_BYTES if "multipart" in content_type.lower() else _SMALL_BYTES
    return len(query) + len(body) <= most and query.count(b"&") + body.count(b"&") <= _SMALL_FIELDS


def raw_parameters(
    query: bytes, content_type: str, body: bytes, wanted: Container[str] | None = None
) -> RawParameters:
    """Merge the fields of query and body; raises :class:`InvalidParameterError` for a malformed body.

    With ``wanted`` given, fields of other names are left out, and as little of them as can be is looked at;
    that is for strangers, so the thread also rests for longer than it computes: others need the interpreter.
    It does not rest at what :func:`is_small`, because other small requests wait for the same thread.
    """
    merged: RawParameters = {}
    rests = wanted is not None and not is_small(query, content_type, body)
    breathe = Breath() if rests else None
    for count, (name, value) in enumerate(_fields(query, content_type, body, breathe)):
        if breathe is not None and not count % _FIELDS_A_BREATH:
            breathe()
        if count >= _MAXIMUM_FIELDS:
            raise InvalidParameterError(f"The request has more than {_MAXIMUM_FIELDS} fields.")
        base = name.removesuffix("[]")
        if wanted is None or base in wanted:
            merged.setdefault(base, []).append(_unquoted(value) if isinstance(value, bytes) else value)
    return merged


class Breath:
    """A rest for a thread that has computed for a while, three times as long as that."""

    def __init__(self) -> None:
        """The thread begins to compute."""
        self._since = time.thread_time()

    def __call__(self) -> None:
        """Rest where it is time to."""
        computed = time.thread_time() - self._since
        if computed > _BREATH_SECONDS:
            time.sleep(3 * computed)
            self._since = time.thread_time()


def _fields(
    query: bytes, content_type: str, body: bytes, breathe: Breath | None
) -> Iterator[tuple[str, object]]:
    yield from _form_fields(query)
    if not body.strip():
        return
    kind, boundary = _kind_of(content_type)
    if kind == "multipart/form-data" and not boundary and body.startswith(b"--"):
        boundary = body[2:].partition(b"\n")[0].rstrip(b"\r")
    if kind == "multipart/form-data" and boundary:
        yield from _multipart_fields(body, boundary, breathe)
    elif kind == "application/json" or body.lstrip().startswith(b"{"):
        yield from _json_fields(body)
    else:
        yield from _form_fields(body.strip())


def _kind_of(content_type: str) -> tuple[str, bytes]:
    header = Message()
    header["content-type"] = content_type
    boundary = header.get_param("boundary", "")
    return header.get_content_type() if content_type else "", str(boundary).encode("latin-1", "replace")


def _form_fields(data: bytes) -> Iterator[tuple[str, object]]:
    for field in data.split(b"&"):
        if field:
            name, *value = field.split(b"=", 1)
            # The value is left as it came: most are long, and who asks for a few names reads few of them.
            yield _unquoted(name), b"".join(value)


def _unquoted(quoted: bytes) -> str:
    return _decoded(unquote_to_bytes(quoted.replace(b"+", b" ")))


def _decoded(data: bytes) -> str:
    """Bytes that are no UTF-8 stay recognisable: paths may have them, other parameters refuse them."""
    return data.decode("utf-8", "surrogateescape")


class _Object(dict[str, object]):
    """A JSON object that still has the names that came more than once, as a form has."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def _json_fields(body: bytes) -> Iterator[tuple[str, object]]:
    try:
        fields = json.loads(body.decode("utf-8"), object_pairs_hook=_Object, parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise InvalidParameterError("The request's body is not UTF-8 text.") from None
    except (ValueError, RecursionError):
        # Not "from": the exception holds the body, and that may hold secrets.
        raise InvalidParameterError("The request's body is not JSON.") from None
    if not isinstance(fields, _Object):
        raise InvalidParameterError("The request's body is not a JSON object.")
    for name, value in fields.pairs:
        if value is not None:
            yield name, value


def _refuse_constant(word: str) -> object:
    raise ValueError(f"{word} is not JSON")


def _multipart_fields(body: bytes, boundary: bytes, breathe: Breath | None) -> list[tuple[str, object]]:
    parts = _Parts()
    try:
        parser = MultipartParser(boundary, parts.callbacks)
        for start in range(0, len(body), _PIECE_BYTES):
            parser.write(body[start : start + _PIECE_BYTES])
            if breathe is not None:
                breathe()
        parser.finalize()
    except FormParserError:
        raise InvalidParameterError("The request's body is not multipart/form-data.") from None
    return parts.fields


class _Parts:
    """Gathers the parts that a parser reports; files count as texts."""

    def __init__(self) -> None:
        self.fields: list[tuple[str, object]] = []
        self._header_name = b""
        self._header_value = b""
        self._disposition = b""
        self._data = bytearray()
        self.callbacks: MultipartCallbacks = {
            "on_part_begin": self._begin,
            "on_header_field": self._add_header_name,
            "on_header_value": self._add_header_value,
            "on_header_end": self._end_header,
            "on_part_data": self._add_data,
            "on_part_end": self._end,
        }

    def _begin(self) -> None:
        self._disposition = b""
        self._data = bytearray()

    def _add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        if self._header_name.strip().lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        self._data += data[start:end]

    def _end(self) -> None:
        header = Message()
        header["content-disposition"] = self._disposition.decode("latin-1")
        name = header.get_param("name", "", "content-disposition")
        if isinstance(name, str) and name:
            self.fields.append((_decoded(name.encode("latin-1", "replace")), _decoded(bytes(self._data))))
