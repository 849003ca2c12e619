# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON as the format has it: ASCII (docs/format.md, "JSON").

orjson takes a fifth of the standard library's time.  It writes other characters as they are and takes
neither lone surrogates, which stand for bytes that are no UTF-8, nor integers of more than 64 bits: a
page that holds any of these is left to the standard library.
"""

from __future__ import annotations

import json
from typing import Any

import orjson


def encode(document: dict[str, Any]) -> bytes:
    """Return the document without a space in it."""
    try:
        encoded = orjson.dumps(document)
    except TypeError:
        encoded = b"\xff"
    if encoded.isascii():
        return encoded
    return json.dumps(document, separators=(",", ":")).encode()


def decode(data: bytes) -> Any:
    """Return what ASCII bytes mean; an integer of more than 64 bits is a float.

    Raises ValueError for what is no JSON, RecursionError for what is nested too deep.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return decode_exactly(data)


def decode_exactly(data: bytes) -> Any:
    """Do what :func:`decode` does, with integers of any length: times before 1677 and after 2554 need it."""
    return json.loads(data.decode("ascii"))
