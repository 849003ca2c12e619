# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Typed access to decoded JSON: whatever is not as format version 1 has it is a FormatError.

A raw chain's objects can be written by anyone who can write to the storage, and so can every
header; nothing here trusts a type, a length or a range.  Columns are checked as wholes, because
pages are read on a hot path (docs/format.md, "JSON").
"""

from __future__ import annotations

import base64
import re
import reprlib
from collections.abc import Callable
from typing import Any

from papi_backup.engine.format import FormatError
from papi_backup.engine.format.json_text import decode_exactly
from papi_backup.engine.format.segment import Buffer

ID = re.compile("[0-9a-f]{16}", re.ASCII)
LARGEST_NUMBER = (1 << 63) - 1


def load_object(raw: Buffer, what: str, parse: Callable[[bytes], Any] = decode_exactly) -> dict[str, Any]:
    """Return the JSON object in ``raw``, which must be ASCII.  Raises FormatError."""
    data = bytes(raw)
    if not data.isascii():
        raise FormatError(f"{what} is not ASCII")
    try:
        document = parse(data)
    except (ValueError, RecursionError):  # no JSON, a number of thousands of digits, nested too deep
        raise FormatError(f"{what} is not JSON") from None
    return mapping(document, what)


def shown(value: object) -> str:
    """Return a short form of a hostile value for a message."""
    return reprlib.repr(value)


def mapping(value: Any, what: str) -> dict[str, Any]:
    """Return a JSON object."""
    if not isinstance(value, dict):
        raise FormatError(f"{what} is no object")
    return value


def array(value: Any, what: str, least: int = 0, most: int = LARGEST_NUMBER) -> list[Any]:
    """Return an array of ``least`` to ``most`` members."""
    if not isinstance(value, list) or not least <= len(value) <= most:
        raise FormatError(f"{what} is no array of a possible length")
    return value


def number(value: Any, what: str, least: int = 0, most: int = LARGEST_NUMBER) -> int:
    """Return an integer within bounds; ``true`` and ``1.0`` are none."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise FormatError(f"{what} holds {shown(value)} where a number from {least} to {most} belongs")
    return value


def numbers(value: Any, what: str, least: int = 0, most: int = LARGEST_NUMBER) -> list[int]:
    """Return an array of integers within bounds."""
    if not isinstance(value, list):
        raise FormatError(f"{what} is no array")
    if value and (set(map(type, value)) != {int} or min(value) < least or max(value) > most):
        raise FormatError(f"{what} holds something that is no number from {least} to {most}")
    return value


def text(value: Any, what: str) -> str:
    """Return a string."""
    if not isinstance(value, str):
        raise FormatError(f"{what} holds {shown(value)} where text belongs")
    return value


def texts(value: Any, what: str) -> list[str]:
    """Return an array of strings."""
    if not isinstance(value, list) or (value and set(map(type, value)) != {str}):
        raise FormatError(f"{what} is no array of texts")
    return value


def binary(value: Any, what: str, size: int = -1) -> bytes:
    """Return the bytes behind base64, of exactly ``size`` bytes unless that is negative."""
    try:
        raw = base64.b64decode(value, validate=True) if isinstance(value, str) else None
    except ValueError:  # binascii.Error, or text that is not ASCII
        raw = None
    if raw is None or 0 <= size != len(raw):
        raise FormatError(f"{what} holds malformed base64")
    return raw


def identifier(value: Any, what: str) -> str:
    """Return an id of a chain, backup or instance: it becomes part of object names."""
    if not isinstance(value, str) or not ID.fullmatch(value):
        raise FormatError(f"{what} holds {shown(value)} where an id belongs")
    return value
