# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The types of parameters in words, and as JSON Schemas."""

from __future__ import annotations

import re

from papi_backup.api.kinds import (
    MAXIMUM_ITEMS,
    Boolean,
    Check,
    Choice,
    Date,
    Integer,
    IntegerList,
    Kind,
    SecretText,
    Text,
    TextList,
    Zone,
)
from papi_backup.api.shapes import Schema

_END = re.compile(r"\.(?:\s|$)|[;:]")
_SHORT = 100
"""Longest date or zone, in characters."""


def schema_of(kind: Kind) -> Schema:
    """Return the JSON Schema of what clients may send: never stricter than the check behind it.

    Lengths are bytes in a check and characters in a schema, so that what fits the check fits the schema.
    """
    match kind:
        case Text():
            found: Schema = {"type": "string", "maxLength": kind.maximum}
        case SecretText():
            found = {"type": "string", "maxLength": kind.maximum, "format": "password"}
        case Integer():
            found = {"type": "integer", "minimum": kind.low, "maximum": kind.high}
        case Boolean():
            found = {"type": "boolean"}
        case Choice():
            found = {"type": "string", "enum": list(kind.words)}
        case IntegerList():
            item = schema_of(Integer(kind.low, kind.high))
            found = {"type": "array", "items": item, "maxItems": MAXIMUM_ITEMS}
        case TextList():
            found = {"type": "array", "items": schema_of(kind.item), "maxItems": MAXIMUM_ITEMS}
        case Date() | Zone():
            found = {"type": "string", "maxLength": _SHORT}
        case unknown:
            raise TypeError(f"{type(unknown).__name__} has no schema")
    return found


def words_of(kind: Kind) -> str:
    """Return the type and its bounds for a person."""
    match kind:
        case Text():
            found = f"{_meaning(kind.check) or 'text'}, at most {kind.maximum} bytes"
        case SecretText():
            found = f"secret text, at most {kind.maximum} bytes"
        case Integer():
            found = "identifier" if kind.high > 1 << 32 else f"{kind.low} to {kind.high}"
        case Boolean():
            found = "`1`, `true` or `0`, `false`"
        case Choice():
            found = ", ".join(f"`{word}`" for word in kind.words)
        case IntegerList():
            found = f"list of {kind.low} to {kind.high}"
        case TextList():
            found = f"list; each {words_of(kind.item)}"
        case Date():
            found = "`YYYY-MM-DD HH:MM:SS` with or without offset, or `YYYY-MM-DD`"
        case Zone():
            found = "IANA name, as `Europe/Rome`"
        case unknown:
            raise TypeError(f"{type(unknown).__name__} has no words")
    return found


def _meaning(check: Check | None) -> str:
    """Return what a check wants: the beginning of its documentation."""
    sentence = _END.split((check.__doc__ or "") if check else "")[0]
    return sentence[:1].lower() + sentence[1:].replace("``", "`")
