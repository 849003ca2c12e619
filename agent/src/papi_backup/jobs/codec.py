# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dataclasses of the model as JSON, to cross the border between the agent's processes.

The text holds secrets in clear: it travels in anonymous memory and pipes only, never in argv, logs
or files.  Surrogate escapes in paths survive, because JSON is written as ASCII.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar, cast

from papi_backup.model.secret import Secret

T = TypeVar("T")
KIND = "@"
"""The key that carries a dataclass's name, so that a union of dataclasses can be told apart."""


def encode(value: object) -> Any:
    """Return ``value`` as JSON-ready data.  Raises :class:`TypeError` for a type no message uses."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {KIND: type(value).__name__} | fields
    raise TypeError(f"{type(value).__name__} cannot cross a process border")


def decode(kind: type[T], data: Any) -> T:
    """Rebuild a ``kind`` from what :func:`encode` made; unknown fields are ignored.

    Raises :class:`TypeError` or :class:`ValueError` (without the data, which may be secret) when
    the data does not fit.
    """
    return cast("T", _decode(kind, data))


def secrets_in(value: object) -> tuple[str, ...]:
    """Return the text of every secret inside ``value``, so that it can be kept out of logs."""
    if isinstance(value, Secret):
        return (value.reveal(),) if value else ()
    if isinstance(value, tuple | list):
        return tuple(text for item in value for text in secrets_in(item))
    if dataclasses.is_dataclass(value):
        return secrets_in([getattr(value, field.name) for field in dataclasses.fields(value)])
    return ()


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    """Resolve a dataclass's annotations once."""
    return typing.get_type_hints(kind)


def _decode(kind: Any, data: Any) -> Any:
    origin = typing.get_origin(kind)
    if origin is typing.Literal:
        if data not in typing.get_args(kind):
            raise ValueError(f"a value outside {kind}")
        return data
    if origin in (typing.Union, types.UnionType):
        return _decode_union(typing.get_args(kind), data)
    if origin in (tuple, list):
        return _decode_sequence(origin, typing.get_args(kind), data)
    return _decode_plain(kind, data)


def _decode_plain(kind: Any, data: Any) -> Any:
    if kind is Secret:
        return Secret(_expect(str, data))
    if kind is datetime:
        return datetime.fromisoformat(_expect(str, data))
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(kind, _expect(dict, data))
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    return _expect(kind, data)


def _expect(kind: type[T], data: Any) -> T:
    if not isinstance(data, kind) or (isinstance(data, bool) and kind is not bool):
        raise TypeError(f"expected {kind.__name__}, got {type(data).__name__}")
    return data


def _decode_union(options: tuple[Any, ...], data: Any) -> Any:
    if data is None:
        if types.NoneType in options:
            return None
        raise TypeError("an unexpected null")
    candidates = [option for option in options if option is not types.NoneType]
    if len(candidates) == 1:
        return _decode(candidates[0], data)
    name = _expect(dict, data).get(KIND)
    for option in candidates:
        if option.__name__ == name:
            return _decode(option, data)
    raise TypeError(f"none of {[option.__name__ for option in candidates]}")


def _decode_sequence(origin: type, items: tuple[Any, ...], data: Any) -> Any:
    values = _expect(list, data)
    if origin is list or (len(items) == 2 and items[1] is Ellipsis):
        return origin(_decode(items[0], value) for value in values)
    if len(items) != len(values):
        raise TypeError(f"expected {len(items)} items, got {len(values)}")
    return tuple(_decode(item, value) for item, value in zip(items, values, strict=True))


def _decode_dataclass(kind: Any, data: Mapping[str, Any]) -> Any:
    hints = _hints(kind)
    given = {
        field.name: _decode(hints[field.name], data[field.name])
        for field in dataclasses.fields(kind)
        if field.name in data
    }
    return kind(**given)
