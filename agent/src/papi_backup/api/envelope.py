# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The envelope of every answer (docs/api_conventions.md, "Envelope")."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from papi_backup.api.xml_encoding import encode_element, encode_result
from papi_backup.model.errors import PapiError

FORMATS = {"json": "application/json", "xml": "application/xml; charset=utf-8"}
"""The extensions of a method's path, and the media types of its answers."""

DEFAULT_FORMAT = "json"


@dataclass(frozen=True, slots=True)
class PreparedList:
    """A list as data whose items are encoded already, or can be; ``items`` is given the format."""

    items: Callable[[str], Sequence[bytes]]


def success(data: object, beside: Mapping[str, object]) -> dict[str, object]:
    """Return the envelope of an answer; ``beside`` holds extension fields that stand next to ``data``."""
    return {"success": 1, "data": data, **beside}


def failure(error: PapiError) -> dict[str, object]:
    """Return the envelope of an error."""
    return {"success": 0, "error_code": error.code, "error": error.message}


def encode(envelope: Mapping[str, object], answer_format: str) -> bytes:
    """Return the bytes of an answer in one of :data:`FORMATS`."""
    data = envelope.get("data")
    if isinstance(data, PreparedList):
        return _with_items(envelope, data.items(answer_format), answer_format)
    return encode_result(envelope) if answer_format == "xml" else _json(envelope)


def encode_item(item: Mapping[str, object], answer_format: str) -> bytes:
    """Return the bytes of an item of a :class:`PreparedList`."""
    return encode_element(item) if answer_format == "xml" else _json(item)


def _with_items(envelope: Mapping[str, object], items: Sequence[bytes], answer_format: str) -> bytes:
    empty = encode({**envelope, "data": []}, answer_format)
    if not items:
        return empty
    xml = answer_format == "xml"
    # Nothing stands before data but "success", so the first match is data's own.
    before, found, after = empty.partition(b"<data/>" if xml else b'"data": []')
    if not found:
        raise ValueError("the envelope of a list has no data")
    if xml:
        return b"".join([before, b"<data>", *items, b"</data>", after])
    return b"".join([before, b'"data": [', b", ".join(items), b"]", after])


def _json(value: Mapping[str, object]) -> bytes:
    # ASCII only: it carries the surrogate escapes of undecodable names, which UTF-8 refuses.
    return json.dumps(value, separators=(", ", ": "), allow_nan=False).encode("ascii")
