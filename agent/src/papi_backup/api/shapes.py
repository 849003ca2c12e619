# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What answers look like: the endpoint table declares it, the tests hold every answer to it.

A shape tells what does not fit (:meth:`Shape.faults`) and describes itself as a JSON Schema, from which
the OpenAPI document is made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

Schema = dict[str, object]

DATE_PATTERN = (
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}([+-][0-9]{2}:[0-9]{2}(:[0-9]{2})?)?)?$"
)
"""A date of an answer (see :mod:`papi_backup.api.dates`), or nothing."""


class Shape(Protocol):
    """The shape of one value of an answer."""

    def faults(self, value: object, where: str = "data") -> Iterator[str]:
        """Tell what in ``value``, as JSON has it, does not fit."""

    def schema(self) -> Schema:
        """Return the JSON Schema (2020-12), with ``xml`` as OpenAPI has it."""


@dataclass(frozen=True, slots=True)
class TextShape:
    """A text; one of ``words`` when there are any, and matching ``pattern``."""

    words: tuple[str, ...] = ()
    pattern: str = ""

    def faults(self, value: object, where: str = "data") -> Iterator[str]:
        """Tell what does not fit."""
        if not isinstance(value, str):
            yield f"{where} is {type(value).__name__}, not a text"
        elif self.words and value not in self.words:
            yield f"{where} is {value!r}, none of {', '.join(self.words)}"
        elif self.pattern and not re.search(self.pattern, value):
            yield f"{where} is {value!r}, which does not match {self.pattern}"

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        found: Schema = {"type": "string"}
        if self.words:
            found["enum"] = list(self.words)
        if self.pattern:
            found["pattern"] = self.pattern
        return found


@dataclass(frozen=True, slots=True)
class NumberShape:
    """A whole number, never a text or a truth value."""

    low: int = 0

    def faults(self, value: object, where: str = "data") -> Iterator[str]:
        """Tell what does not fit."""
        if not isinstance(value, int) or isinstance(value, bool):
            yield f"{where} is {type(value).__name__}, not a whole number"
        elif value < self.low:
            yield f"{where} is {value}, less than {self.low}"

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "integer", "minimum": self.low}


@dataclass(frozen=True, slots=True)
class TruthShape:
    """A truth value."""

    def faults(self, value: object, where: str = "data") -> Iterator[str]:
        """Tell what does not fit."""
        if not isinstance(value, bool):
            yield f"{where} is {type(value).__name__}, not a truth value"

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class ConstantShape:
    """Always the same text."""

    text: str

    def faults(self, value: object, where: str = "data") -> Iterator[str]:
        """Tell what does not fit."""
        if value != self.text:
            yield f"{where} is {value!r}, not {self.text!r}"

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "string", "const": self.text}


@dataclass(frozen=True, slots=True)
class AnyShape:
    """Anything: what is described elsewhere."""

    def faults(self, value: object, where: str = "data") -> Iterator[str]:
        """Tell nothing."""
        del value, where
        yield from ()

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {}


@dataclass(frozen=True, slots=True)
class ListShape:
    """A list of equals."""

    item: Shape

    def faults(self, value: object, where: str = "data") -> Iterator[str]:
        """Tell what does not fit."""
        if not isinstance(value, list):
            yield f"{where} is {type(value).__name__}, not a list"
            return
        for number, item in enumerate(value):
            yield from self.item.faults(item, f"{where}[{number}]")

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        items = self.item.schema() | {"xml": {"name": "element"}}
        return {"type": "array", "items": items, "xml": {"wrapped": True}}


@dataclass(frozen=True, slots=True)
class MapShape:
    """A dictionary whose keys are names that users gave; ``key`` tells of what."""

    key: str
    value: Shape

    def faults(self, value: object, where: str = "data") -> Iterator[str]:
        """Tell what does not fit."""
        if not isinstance(value, dict):
            yield f"{where} is {type(value).__name__}, not a dictionary"
            return
        for name, item in value.items():
            yield from self.value.faults(item, f"{where}[{name!r}]")

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {
            "type": "object",
            "description": f"By the name of each {self.key}.",
            "additionalProperties": self.value.schema(),
        }


@dataclass(frozen=True, slots=True)
class Field:
    """One entry of a record.  ``extension``: not in the spec; ``optional``: it may be absent."""

    name: str
    shape: Shape
    meaning: str = ""
    extension: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True)
class RecordShape:
    """A dictionary with exactly these entries."""

    fields: tuple[Field, ...]
    meaning: str = ""

    def faults(self, value: object, where: str = "data") -> Iterator[str]:
        """Tell what does not fit; an entry that nobody declared does not."""
        if not isinstance(value, dict):
            yield f"{where} is {type(value).__name__}, not a dictionary"
            return
        for field in self.fields:
            if field.name in value:
                yield from field.shape.faults(value[field.name], f"{where}.{field.name}")
            elif not field.optional:
                yield f"{where} has no {field.name!r}"
        for name in value.keys() - {field.name for field in self.fields}:
            yield f"{where} has {name!r}, which nobody declared"

    def schema(self) -> Schema:
        """Return the JSON Schema.  It admits further entries: later agents may have some."""
        properties = {field.name: _described(field) for field in self.fields}
        required = [field.name for field in self.fields if not field.optional]
        found: Schema = {"type": "object", "properties": properties}
        if self.meaning:
            found["description"] = self.meaning
        if required:
            found["required"] = required
        if not self.fields:
            found["maxProperties"] = 0
        return found

    def without(self, *names: str) -> RecordShape:
        """Return the record without some entries."""
        return replace(self, fields=tuple(field for field in self.fields if field.name not in names))

    def optionally(self, *names: str) -> RecordShape:
        """Return the record with some entries that may be absent."""
        return replace(
            self,
            fields=tuple(
                replace(field, optional=True) if field.name in names else field for field in self.fields
            ),
        )


@dataclass(frozen=True, slots=True)
class EitherShape:
    """One of several shapes."""

    shapes: tuple[Shape, ...]

    def faults(self, value: object, where: str = "data") -> Iterator[str]:
        """Tell what does not fit the shape that fits best."""
        yield from min((list(shape.faults(value, where)) for shape in self.shapes), key=len)

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"anyOf": [shape.schema() for shape in self.shapes]}


def _described(field: Field) -> Schema:
    note = "An extension of the spec. " if field.extension else ""
    words = f"{note}{field.meaning}".strip()
    return field.shape.schema() | ({"description": words} if words else {})


def record(meaning: str, *parts: Field | Sequence[Field]) -> RecordShape:
    """Return a record of fields and groups of fields."""
    fields: list[Field] = []
    for part in parts:
        fields += [part] if isinstance(part, Field) else part
    return RecordShape(tuple(fields), meaning)
